"""
Every server, plain and over TLS: one row each, and the same columns for all.

What was seen goes to ``reports/matrix.json``; ``scripts/servers --write-docs`` makes docs/topics/servers.md
of it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.matrix.columns import COLUMNS, try_stop
from tests.matrix.rows import ROWS, Row, is_expected
from tests.servers import ROOT, TABLE, Server, start

REPORT = ROOT / "reports" / "matrix.json"


class Running(NamedTuple):
    row: Row
    flavour: str
    server: Server
    #: Column → outcome.
    seen: dict[str, str]


@pytest.fixture(
    scope="module",
    params=[(row, flavour) for row in ROWS for flavour in row.flavours],
    ids=lambda param: f"{param[0].name}-{param[1]}",
)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    row, flavour = request.param
    directory = tmp_path_factory.mktemp(row.name)
    seen: dict[str, str] = {}
    with start(row.kind, row.app, tls=flavour == "wss", threads=2, directory=directory) as server:
        yield Running(row, flavour, server, seen)
    REPORT.parent.mkdir(exist_ok=True)
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report.setdefault(row.name, {}).setdefault(flavour, {}).update(seen)
    REPORT.write_text(json.dumps(report, indent=1))


@pytest.mark.parametrize("column", COLUMNS)
def test_server_does_what_its_row_says(running: Running, column: str) -> None:
    outcome = COLUMNS[column](running.server)
    expected = running.row.get_expected(running.flavour)[column]
    assert is_expected(outcome, expected), f"{outcome}, not {expected}:\n{running.server.log[-3000:]}"
    running.seen[column] = expected


@pytest.mark.parametrize(
    "row", [row for row in ROWS if TABLE[row.kind].ends_by_sigint], ids=lambda row: row.name
)
def test_server_that_ends_by_sigint_says_nothing_on_an_untouched_sigterm(row: Row) -> None:
    with start(row.kind, row.app) as server:
        assert try_stop(server, signal.SIGTERM) == "no Close frame"
    with start(row.kind, "tests.matrix.sigterm_app:app") as server:
        assert try_stop(server, signal.SIGTERM) == "1001"


def test_limits_are_other_than_what_is_good() -> None:
    for row in ROWS:
        unlimited = Row(row.kind, row.title)
        for flavour in row.flavours:
            for column, limit in row.get_limits(flavour).items():
                assert limit.outcome != unlimited.get_expected(flavour)[column], (row.name, column)
                assert limit.reason.endswith(".")


def test_every_server_that_the_tests_run_on_has_a_row() -> None:
    wanted = {name for name, kind in TABLE.items() if kind.everywhere and kind.interface in ("wsgi", "asgi")}
    assert wanted <= {row.kind for row in ROWS}
