"""docs/topics/servers.md says what the matrix expects, which is what the matrix has seen."""

from __future__ import annotations

import re

import pytest

from scripts.lib.servers import PAGE, build_page
from tests.matrix.rows import ROWS

EXPECTED = {row.name: {flavour: row.get_expected(flavour) for flavour in row.flavours} for row in ROWS}


def test_page_has_what_the_matrix_expects() -> None:
    page = PAGE.read_text(encoding="utf-8")
    versions = re.search(r"^Measured with (.+)\.$", page, re.MULTILINE)
    assert versions is not None
    assert page == build_page(EXPECTED, versions[1]), "run scripts/servers --write-docs"


def test_page_of_an_incomplete_run_is_not_made() -> None:
    with pytest.raises(KeyError):
        build_page({**EXPECTED, "gunicorn-sync": {}}, "nothing")
