"""The documents say what the code does: defaults in the tables, links that lead somewhere."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.autobahn.targets import TARGETS, read_expected
from scripts.lib.autobahn.verdicts import FINE
from ws4py_middleware.core.policy import DeflateOptions, Policy

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "examples").glob("*/README.md"),
]


def read_table(first_header: str) -> dict[str, list[str]]:
    """Read the table of docs/topics/security.md whose first column has this header; rows by their name."""
    text = (ROOT / "docs" / "topics" / "security.md").read_text(encoding="utf-8")
    table = text.split(f"\n| {first_header} |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in rows}


def get_defaults(settings: type[Policy] | type[DeflateOptions]) -> dict[str, Any]:
    values = settings()
    return {field.name: getattr(values, field.name) for field in dataclasses.fields(settings)}


@pytest.mark.parametrize(("header", "settings"), [("setting", Policy), ("option", DeflateOptions)])
def test_security_page_has_every_setting_with_its_default(
    header: str, settings: type[Policy] | type[DeflateOptions]
) -> None:
    documented = {name: ast.literal_eval(row[0].strip("`")) for name, row in read_table(header).items()}
    defaults = get_defaults(settings)
    assert list(documented) == list(defaults), "the same settings in the same order"
    assert documented == defaults
    assert [type(value) for value in documented.values()] == [type(value) for value in defaults.values()]


def test_security_page_names_a_promise_and_an_outcome_for_every_limit() -> None:
    for name, (_, meaning, outcome, promise) in read_table("setting").items():
        assert meaning, name
        assert outcome, name
        assert re.fullmatch(r"P\d+(, P\d+)*", promise), name


def find_anchors(document: Path) -> set[str]:
    """Return what GitHub makes of the headings of a document."""
    text = re.sub(r"^(```+).*?^\1$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    anchors: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{anchor}-{anchors[anchor]}" if anchors[anchor] else anchor)
        anchors[anchor] += 1
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files_and_headings(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#]*)#?([^)]*)\)", text):
        path = document.parent / target if target else document
        assert path.exists(), target
        assert not anchor or path.suffix != ".md" or anchor in find_anchors(path), f"{target}#{anchor}"


def test_conformance_page_has_nothing_that_is_not_fine_but_what_asgi_servers_are_known_for() -> None:
    page = (ROOT / "docs" / "topics" / "conformance.md").read_text(encoding="utf-8")
    ours = page.split("## For comparison", 1)[0]
    documented = {target.title: name for name, target in TARGETS.items() if target.documented}
    rows = re.findall(
        r"^\| ([^|]+) \| (\d+) \| (.+) \| (.+) \|$", ours.split("## By section")[0], re.MULTILINE
    )
    assert [title for title, *_ in rows] == list(documented)
    for title, cases, *verdicts in rows:
        assert cases == "517", title
        known = read_expected().get(documented[title], {})
        for place, told in enumerate(verdicts):
            counted = {name: int(n) for name, n in (each.rsplit(" ", 1) for each in told.split(", "))}
            fine = counted.pop("OK") + counted.pop("INFORMATIONAL")
            assert sum(counted.values()) == 517 - fine
            expected = Counter(o[place] for o in known.values() if o[place] not in FINE)
            assert counted.pop("NON-STRICT", 0) <= expected.pop("NON-STRICT", 0), title
            assert counted == expected, title
