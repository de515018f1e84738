"""docs/howto/admin.md: its application is asked, its commands are ones, its bounds are those of the code."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.docs.pages import CODE, read_commands, read_page
from tests.entrances.admins import run
from tests.servers import start
from ws4py_middleware.admin.__main__ import DONE, NOTHING, UNREACHABLE, _make_parser
from ws4py_middleware.admin.commands import COMMANDS
from ws4py_middleware.admin.protocol import MAX_PAGE, MAX_REQUEST, TIMEOUT
from ws4py_middleware.admin.server import MAX_CLIENTS
from ws4py_middleware.admin.tables import show_connections

PAGE = read_page("howto/admin")
COMMANDS_OF_THE_PAGE = read_commands(PAGE, "python -m ws4py_middleware.admin")


@pytest.mark.parametrize("words", COMMANDS_OF_THE_PAGE, ids=" ".join)
def test_commands_are_understood(words: list[str]) -> None:
    options = _make_parser().parse_args(words)
    assert options.socket == "/run/app"
    assert options.command in COMMANDS


def test_application_of_the_page_is_asked_and_its_connections_closed(tmp_path: Path) -> None:
    # The path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="app-") as place:
        text = (CODE / "admin" / "app.py").read_text(encoding="utf-8")
        assert text.count("/run/app/") == 1
        (tmp_path / "app.py").write_text(text.replace("/run/app/", f"{place}/"), encoding="utf-8")
        options = ["--chdir", str(tmp_path)]
        with (
            start("gunicorn-gthread", "app:app", options=options, directory=tmp_path) as server,
            connect(server.ws_url + "/echo", proxy=None) as client,
        ):
            listed = run(place, "list")
            assert (listed.status, listed.out.splitlines()[1].split()[1:3]) == (0, ["/echo", "127.0.0.1"])
            assert run(place, "close", "--all", "--code", "1001").status == 0
            assert list(client) == []
            assert client.close_code == 1001
            assert "Traceback" not in server.log


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
