"""The clients that the testsuite tries: each sends back what comes, and goes on when one case fails."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from scripts.lib.autobahn.clients import RUNNERS
from tests.servers import ROOT

#: What each case sends.
CASES: dict[str, list[str | bytes]] = {
    "/runCase?case=1&agent=x": ["a", b"\x00\xff", "ü" * 5000],
    "/runCase?case=3&agent=x": [""],
}


@pytest.fixture
def fuzzing_server() -> Iterator[tuple[str, Queue[Any]]]:
    """Run a server with three cases, of which the second one is refused; tell what was sent back."""
    echoes: Queue[Any] = Queue()

    def run_case(connection: ServerConnection) -> None:
        assert connection.request is not None
        for message in CASES[connection.request.path]:
            connection.send(message)
            echoes.put((connection.request.path, message, connection.recv(timeout=10)))

    def refuse(connection: ServerConnection, request: Any) -> Any:
        return None if request.path in CASES else connection.respond(404, "no such case")

    with serve(run_case, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", echoes
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", RUNNERS)
def test_runner_sends_everything_back_and_goes_on_after_a_case_that_fails(
    fuzzing_server: tuple[str, Queue[Any]], kind: str
) -> None:
    url, echoes = fuzzing_server
    command = [sys.executable, "-m", "scripts.lib.autobahn.clients", kind, url, "x", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    seen = [echoes.get_nowait() for _ in range(echoes.qsize())]
    assert seen == [(path, message, message) for path, sent in CASES.items() for message in sent]
    assert done.stderr.count("Traceback") == 1
    assert "case=2" in done.stderr
    assert "404" in done.stderr
    assert done.returncode == 0, "a case that fails is the testsuite's to tell"
