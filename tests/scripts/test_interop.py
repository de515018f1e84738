"""docs/topics/interop.md says what the tests of tests/interop try."""

from __future__ import annotations

import re

from scripts.lib.interop import PAGE, Party, build_page
from tests.interop.cases import CASES, THINGS
from tests.interop.foreign.clients import CLIENTS
from tests.interop.servers import OURS, THEIRS


def test_page_says_what_is_tried() -> None:
    page = PAGE.read_text(encoding="utf-8")
    versions = re.search(r"^Measured with (.+)\.$", page, re.MULTILINE)
    assert versions is not None
    assert page == build_page(versions[1]), "run python -m scripts.lib.interop"


def test_everything_has_a_row_and_what_is_lacking_is_a_thing() -> None:
    assert {case.thing for case in CASES.values()} | {"compression"} == set(THINGS)
    parties: list[Party] = [*OURS.values(), *THEIRS.values(), *CLIENTS.values()]
    for party in parties:
        assert {name.removesuffix(", compressed") for name in party.lacks} <= set(THINGS), party.title
