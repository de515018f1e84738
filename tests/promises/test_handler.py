"""P18 and P25: a handler's fault ends its own connection, a client's is no fault of the server's at all."""

from __future__ import annotations

import re
import time

import pytest

from tests.promises.attacker import ask, best, report, upgrade, wait_idle
from tests.promises.conftest import StartFresh
from tests.promises.wire import CLOSE, TEXT, close_frame, frame, request
from tests.servers import Server, wait_for

ASKED_FOR = "ZeroDivisionError: asked for by the test"


def count_records(server: Server) -> int:
    return len(re.findall("^ERROR ws4py_middleware", server.log, re.MULTILINE))


def test_p18_fault_of_a_handler_closes_its_connection_only(kind: str, start_fresh: StartFresh) -> None:
    cases = {
        "/command": (frame(TEXT, b"raise"), 1011),
        "/raise-opened": (b"", 1011),
        "/raise-function": (frame(TEXT, b"go"), 1011),
        "/raise-closed": (close_frame(1000), 1000),
    }
    with start_fresh(ASKED_FOR) as server, upgrade(server) as other:
        other.echo()
        for path, (wire, code) in cases.items():
            before = count_records(server)

            def measure(path: str = path, wire: bytes = wire, code: int = code) -> float:
                with upgrade(server, path) as peer:
                    began = time.perf_counter()
                    peer.send(wire)
                    assert peer.read_frame().code == code
                    elapsed = time.perf_counter() - began
                    # What happened is the log's to say, not the client's to know.
                    assert peer.read_to_end() == b""
                    return elapsed

            elapsed = best(measure, 0.1)
            report(f"P18 {server.kind} {path}", closed=f"{elapsed * 1e3:.1f} ms")
            assert elapsed <= 0.1
            wait_for(lambda before=before: count_records(server) > before, what="the log")  # type: ignore[misc]
            if elapsed <= 0.1:
                other.echo()
        with upgrade(server, "/command") as peer:
            before = count_records(server)
            peer.send(frame(TEXT, b"raise") + frame(TEXT, b"raise") + frame(TEXT, b"raise"))
            assert peer.read_frame().code == 1011
            peer.read_to_end()
        other.echo()
        assert count_records(server) == before + 1, "one record for one connection"


def test_p18_sys_exit_in_a_handler_ends_nothing_else(kind: str, start_fresh: StartFresh) -> None:
    with start_fresh("SystemExit: 3") as server, upgrade(server) as other:
        with upgrade(server, "/command") as peer:
            peer.send(frame(TEXT, b"exit"))
            assert peer.read_frame().code == 1011
        other.echo()
        assert server.http("/").status == 200


@pytest.mark.parametrize("path", ["/echo", "/function", "/command", "/room/x"])
def test_p25_client_that_leaves_in_any_way_makes_no_noise(server: Server, path: str) -> None:
    """The fixture looks for tracebacks; here they would come from."""
    before = len(server.log.splitlines())
    for rounds in range(5):
        upgrade(server, path).reset()
        upgrade(server, path).sock.close()
        peer = upgrade(server, path)
        peer.send(frame(TEXT, b"flood 100" if path == "/command" else b"x" * 10_000))
        peer.reset()
        with upgrade(server, path) as peer:
            peer.send(close_frame(1000) + frame(TEXT, b"more"))
            assert peer.read_to_close().opcode == CLOSE
        with upgrade(server, path) as peer:
            peer.send(frame(TEXT, b"x", fin=False) + frame(TEXT, b"x" * 1000)[: 10 * rounds])
        upgrade(server, path, early=frame(TEXT, b"x" * 100_000)).reset()
    with upgrade(server) as peer:
        peer.echo()
    wait_idle(server)
    lines = [line for line in server.log.splitlines()[before:] if "101" not in line]
    lines = [line for line in lines if not line.startswith("INFO ws4py_middleware.access: closed ")]
    assert not lines, "the access logs have its 101 and its end, and nobody else has anything to say"


def test_p25_refused_handshakes_are_logged_ten_times_a_second_at_most(server: Server) -> None:
    before = len(server.log)
    began = time.monotonic()
    for _ in range(60):
        assert ask(server, request("/echo", {"Origin": "http://evil"})).startswith(b"HTTP/1.1 403")
    elapsed = time.monotonic() - began
    logged = server.log[before:].count("refused the upgrade of '/echo'")
    assert 1 <= logged <= 10 * (elapsed + 2)
    assert elapsed > 3 or logged < 60
