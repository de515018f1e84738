"""docs/howto/admin.md: its commands are ones, and its bounds are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ws4py_middleware.admin.__main__ import DONE, NOTHING, UNREACHABLE, _make_parser
from ws4py_middleware.admin.commands import COMMANDS
from ws4py_middleware.admin.protocol import MAX_PAGE, MAX_REQUEST, TIMEOUT
from ws4py_middleware.admin.server import MAX_CLIENTS
from ws4py_middleware.admin.tables import show_connections

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "admin.md").read_text(encoding="utf-8")
PROGRAM = "python -m ws4py_middleware.admin "


@pytest.mark.parametrize("line", [line for line in PAGE.splitlines() if line.startswith(PROGRAM)])
def test_commands_are_understood(line: str) -> None:
    options = _make_parser().parse_args(shlex.split(line.removeprefix(PROGRAM)))
    assert options.socket == "/run/app"
    assert options.command in COMMANDS


def test_bounds_and_statuses_are_those_of_the_code() -> None:
    bounds = PAGE.split("| bound | value |", 1)[1].split("\n\n", 1)[0]
    assert [float(value) for value in re.findall(r"\| (\d+) \|", bounds)] == [
        MAX_CLIENTS,
        MAX_REQUEST,
        TIMEOUT,
        MAX_PAGE,
    ]
    statuses = PAGE.split("| status |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| (\d) ", statuses, re.MULTILINE) == [
        str(DONE),
        str(NOTHING),
        "2",
        str(UNREACHABLE),
    ]


def test_protocol_takes_what_the_page_says() -> None:
    table = PAGE.split("| command | what it takes |", 1)[1]
    rows = {
        name: set(re.findall(r"`(\w+)`", takes))
        for name, takes in re.findall(r"^\| `(\w+)` \| ([^|]*)", table, re.MULTILINE)
    }
    assert rows == {name: set(known) for name, (_, known) in COMMANDS.items()}


def test_table_looks_like_that() -> None:
    (header, *_) = show_connections([])
    assert header.split() in [line.split() for line in PAGE.splitlines()]
