"""Every ASGI server: what its WebSockets hear of its end, with our handler in front of its own or without."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.entrances.asgi import APP, KINDS, client, close_code, wait_for_event
from tests.servers import Server, start

#: Options that make a server give up waiting, and cancel what is left, before the test does.
IMPATIENT = {
    "uvicorn-websockets": ["--timeout-graceful-shutdown", "1"],
    "uvicorn-websockets-sansio": ["--timeout-graceful-shutdown", "1"],
    "uvicorn-wsproto": ["--timeout-graceful-shutdown", "1"],
    "hypercorn": ["--graceful-timeout", "1"],
    "gunicorn-asgi": ["--graceful-timeout", "1"],
}

#: What the client hears without our handler in front: the server's own word, or ours when it cancels us, or
#: when its worker is seen to end.
UNCHAINED: dict[str, set[int | None]] = {
    "uvicorn-websockets": {1012},
    "uvicorn-websockets-sansio": {1012},
    "uvicorn-wsproto": {1012},
    "hypercorn": {1001},
    "daphne": {1006},
    "granian": {1001, 1006},  # a race: its own Close, or the end of its process
    "gunicorn-asgi": {1001},
}


def closings(server: Server, name: str) -> list[str]:
    return [line for line in server.log.splitlines() if line.startswith(f"EVENT closed {name}")]


@pytest.mark.parametrize("kind", KINDS)
def test_sigterm_closes_all_with_1001_and_the_server_ends(kind: str) -> None:
    facts = KINDS[kind]
    with start(kind, APP) as server, contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(client(server, f"/{path}?{path}")) for path in ("echo", "async", "command")
        ]
        for path in ("echo", "async", "command"):
            wait_for_event(server, f"opened {path}")
        clients[-1].send("burst 15")
        first = clients[-1].recv(timeout=10)
        began = time.monotonic()
        server.signal()
        # What was sent before goes out before.
        assert [clients[-1].recv(timeout=10) for _ in range(14)] == [first] * 14
        for websocket in clients:
            assert close_code(websocket) == 1001 + facts.codes
        assert time.monotonic() - began < facts.term
        server.process.wait(10)
        for path in ("echo", "async", "command"):
            assert closings(server, path) == [f"EVENT closed {path} 1001"]
        if kind != "daphne":  # it knows no lifespan
            assert server.log.count("EVENT lifespan.shutdown") == 1
        assert "ws4py_middleware/" not in server.log  # no traceback through any code of ours


@pytest.mark.parametrize("kind", KINDS)
def test_without_signals_closed_is_called_once_all_the_same(kind: str) -> None:
    options = IMPATIENT.get(kind, [])
    with start(kind, APP, env={"SIGNALS": "no"}, options=options) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(server, f"/{path}?{path}")) for path in ("echo", "async")]
        for path in ("echo", "async"):
            wait_for_event(server, f"opened {path}")
        server.signal()
        for websocket in clients:
            assert (close_code(websocket) or 1006) in UNCHAINED[kind]
        server.process.wait(10)
        for path in ("echo", "async"):
            assert len(closings(server, path)) == 1
