"""The documentation builds without a warning, its links lead somewhere, every public name is there."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from scripts.lib.docs.building import HTML, Built, build, try_prompts
from tests.docs.test_reference import names
from tests.servers import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

__all__ = ["names"]


class Page(HTMLParser):
    """The places of a page that a link may lead to, and the links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.ids.add(value or "")
            elif name in ("href", "src") and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def built() -> Built:
    """Build all of it, with nothing that was built before."""
    return build(fresh=True)


@pytest.fixture(scope="module")
def pages(built: Built) -> dict[Path, Page]:
    """Return the pages by where they are."""
    return {path: Page(path) for path in HTML.rglob("*.html") if "_static" not in path.parts}


def find_dead(pages: dict[Path, Page]) -> Iterator[str]:
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            place = unquote(parts.fragment)
            if not target.exists() or (place and target in pages and place not in pages[target].ids):
                yield f"{path.relative_to(HTML)}: {link}"


def test_documentation_builds_without_a_warning(built: Built) -> None:
    assert built.passed, built.text
    assert built.text == ""


def test_what_is_shown_at_a_prompt_is_what_comes(built: Built) -> None:
    tried = try_prompts()
    assert tried.passed, tried.text


def test_every_page_is_there(pages: dict[Path, Page]) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        assert HTML / source.relative_to(ROOT / "docs").with_suffix(".html") in pages


def test_no_internal_link_is_dead(pages: dict[Path, Page]) -> None:
    assert list(find_dead(pages)) == []


def test_every_public_name_has_its_place(built: Built, names: dict[str, bool]) -> None:
    *_, packed = (HTML / "objects.inv").read_bytes().split(b"\n", 4)
    placed = set(re.findall(r"^(\S+) py:", zlib.decompress(packed).decode(), re.MULTILINE))
    assert [name for name in names if name not in placed] == []


def test_nothing_of_the_machine_that_built_it_is_shown(pages: dict[Path, Page]) -> None:
    own = re.compile(re.escape(str(ROOT)) + r"\b")
    assert [path for path in pages if own.search(path.read_text(encoding="utf-8"))] == []
