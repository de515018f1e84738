"""The code that pages show comes from files, and the files are run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import CODE
from tests.servers import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
#: The tests, and what they start, that take something from docs/code.
TESTS = [
    text
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if re.search(r"\bCODE\b|docs\W+code\b", text := path.read_text(encoding="utf-8"))
]

#: What can be wrong, and is found out by running it: it does not stand in a page itself.
LANGUAGES = {"python", "py", "pycon", "python3", "ini", "toml", "nginx", "apache", "html", "javascript", "js"}

#: Whose files are run as their page includes them.
FROM_PAGE = {"tutorial": "tests/docs/tutorial.py"}

#: Where a page may take code from: what tests run.
SOURCES = ("docs/code", "examples", "tests", "ws4py_middleware", "benchmarks")


def find_files() -> Iterator[Path]:
    for path in sorted(CODE.rglob("*")):
        made = path.suffix in (".pyc", ".sqlite3") or path.name.startswith(".")  # by running it
        if path.is_file() and not made:
            yield path.relative_to(CODE)


def read_languages(page: Path) -> set[str]:
    """Return the languages of the blocks that stand in a page itself."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"^ *(?:`{3,}|~{3,}|:{3,})(?:\{code(?:-block)?\} *)?(\w+)", text, re.MULTILINE)
    return set(named)


def find_included(page: Path) -> Iterator[Path]:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\{literalinclude\} +(\S+)", text):
        yield (page.parent / target).resolve()


def test_no_page_has_code_of_its_own() -> None:
    found = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if read_languages(page) & LANGUAGES}
    assert not found, "put it into a file of docs/code, include that, and let a test run it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_code_is_included_from_what_is_tested(page: Path) -> None:
    for path in find_included(page):
        assert path.is_file(), path
        assert path.relative_to(ROOT).as_posix().startswith(SOURCES), path


def test_each_file_of_code_is_on_a_page() -> None:
    included = {path for page in PAGES for path in find_included(page)}
    # What is beside them makes a whole of them that runs: a package of Django, the page of an application.
    folders = {path.relative_to(CODE).parts[0] for path in included if path.is_relative_to(CODE)}
    assert {path.parts[0] for path in find_files()} <= folders


@pytest.mark.parametrize("path", list(find_files()), ids=lambda path: path.as_posix())
def test_each_file_of_code_is_run_by_a_test(path: Path) -> None:
    folder = path.parts[0]
    if folder in FROM_PAGE:
        assert "literalinclude" in (ROOT / FROM_PAGE[folder]).read_text(encoding="utf-8")
        return
    named = re.compile(rf"""\bcode["']?(?: */ *|[./])["']?{re.escape(folder)}\b""", re.IGNORECASE)
    users = [text for text in TESTS if named.search(text)]
    assert users, f"no test names docs/code/{folder}"
    if len(path.parts) == 2:
        word = re.compile(rf"\b(?:{re.escape(path.name)}|{re.escape(path.stem)})\b")
        assert any(word.search(text) for text in users), f"no test of docs/code/{folder} names {path.name}"
