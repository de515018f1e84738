"""docs/howto/asgi.md says what the tests of the servers expect, and its code runs."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from tests.entrances.asgi import KINDS, Facts, client
from tests.servers import ROOT, start

PAGE = (ROOT / "docs" / "howto" / "asgi.md").read_text(encoding="utf-8")
NAMES = {
    **{kind: f"uvicorn `--ws {kind.removeprefix('uvicorn-')}`" for kind in KINDS if "uvicorn" in kind},
    "gunicorn-asgi": "gunicorn `-k asgi`",
}


def cells(kind: str, facts: Facts) -> list[str]:
    return [
        NAMES.get(kind, kind),
        facts.early,
        "any response" if facts.response else "403",
        "`send()` waits" if facts.backpressure else "the server's memory",
        str(1001 + facts.codes),
        str(4321 if facts.reports is None else facts.reports),
        "1001 at once" if facts.term < 1 else "1001 after the graceful time-out",
    ]


def test_table_is_what_the_tests_expect() -> None:
    table = PAGE.split("| server |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert found == [cells(kind, facts) for kind, facts in KINDS.items()]


def test_application_has_each_kind_of_handler_and_refuses() -> None:
    with start("uvicorn-websockets", "docs.code.asgi.app:app") as server:
        with (
            client(server, "/chat/lobby") as chat,
            client(server, "/ticker") as ticker,
            client(server, "/echo") as echo,
        ):
            for websocket in (chat, ticker, echo):
                websocket.send("hello")
            assert [each.recv(10) for each in (chat, ticker, echo)] == ["hello", "you said hello", "hello"]
        with pytest.raises(InvalidStatus) as refused, client(server, "/chat/board"):
            pass
        assert refused.value.response.status_code == 401


def test_application_is_mounted() -> None:
    with start("uvicorn-websockets", "docs.code.asgi.mounted:app") as server:
        with client(server, "/live/echo") as websocket:
            websocket.send("hello")
            assert websocket.recv(10) == "hello"
