"""Every ASGI server: how connections end, and that their handlers are told once, whoever ended them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.core.wire import KEY, TEXT, build_frame
from tests.entrances.asgi import (
    APP,
    KINDS,
    Facts,
    client,
    close_code,
    raw,
    reset,
    wait_for_event,
)
from tests.servers import Server, start

FAULT = "raised an exception; its connection is closed"


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request.param, APP) as running:
        yield running


@pytest.fixture
def facts(server: Server) -> Facts:
    return KINDS[server.kind]


@pytest.fixture(autouse=True)
def no_traceback(server: Server) -> Iterator[None]:
    """What clients do is no error; what a handler does is one."""
    before = count_tracebacks(server)
    yield
    assert count_tracebacks(server) == before


def count_tracebacks(server: Server) -> int:
    return server.log.count("Traceback") - server.log.count(FAULT)


@pytest.mark.parametrize("path", ["/echo", "/async"])
def test_client_closes_and_the_code_is_its_own(server: Server, facts: Facts, path: str) -> None:
    name = f"client{path}"
    with client(server, f"{path}?{name}") as websocket:
        websocket.close(4321, "bye")
    code = 4321 if facts.reports is None else facts.reports
    assert wait_for_event(server, f"closed {name}") == f"closed {name} {code}"


def test_client_closes_without_a_code(server: Server, facts: Facts) -> None:
    with raw(server, "/echo?codeless") as sock:
        sock.sendall(build_frame(8, key=KEY))
        assert sock.recv(100)[:1] == b"\x88"
    assert wait_for_event(server, "closed codeless").split()[-1] in ("1000", "1005", "1006")


@pytest.mark.parametrize("path", ["/echo", "/async"])
def test_client_is_cut_off(server: Server, path: str) -> None:
    name = f"cut{path}"
    sock = raw(server, f"{path}?{name}")
    wait_for_event(server, f"opened {name}")
    reset(sock)
    assert wait_for_event(server, f"closed {name}").split()[-1] in ("1005", "1006")


def test_client_is_cut_off_while_a_handler_runs(server: Server) -> None:
    sock = raw(server, "/command?busy")
    sock.sendall(build_frame(TEXT, b"sleep 0.3", key=KEY))
    wait_for_event(server, "opened busy")
    reset(sock)
    wait_for_event(server, "closed busy")


def test_client_that_breaks_the_protocol(server: Server) -> None:
    with raw(server, "/echo?broken") as sock:
        sock.sendall(build_frame(3, b"there is no such opcode", key=KEY))
        with contextlib.suppress(ConnectionError):
            while sock.recv(100):
                pass
    wait_for_event(server, "closed broken")


@pytest.mark.parametrize("code", [1000, 1001, 4123])
def test_handler_closes_and_the_code_is_ours(server: Server, facts: Facts, code: int) -> None:
    with client(server, f"/command?close{code}") as websocket:
        websocket.send(f"close {code}")
        assert close_code(websocket) == code + facts.codes * (code == 1001)
    assert wait_for_event(server, f"closed close{code}") == f"closed close{code} {code}"


def test_handler_fails_and_only_its_connection_ends(server: Server, facts: Facts) -> None:
    records = server.log.count(FAULT)
    with client(server, "/echo") as other, client(server, "/command?fails") as websocket:
        websocket.send("raise hell")
        assert close_code(websocket) == 1011 + facts.codes
        other.send("still here")
        assert other.recv(timeout=10) == "still here"
    assert wait_for_event(server, "closed fails") == "closed fails 1011"
    assert server.log.count(FAULT) == records + 1


def test_message_that_is_too_large(server: Server, facts: Facts) -> None:
    with client(server, "/small?large") as websocket:
        websocket.send("x" * 1000)
        assert len(websocket.recv(timeout=10)) == 1000
        websocket.send("x" * 1001)
        assert close_code(websocket) == 1009 + facts.codes
    assert wait_for_event(server, "closed large") == "closed large 1009"


def test_client_that_does_not_read_is_bounded_and_dropped(server: Server, facts: Facts) -> None:
    with raw(server, "/flow?greedy") as sock:
        sock.sendall(build_frame(TEXT, b"go", key=KEY))
        count = int(wait_for_event(server, "flooded greedy", timeout=15).split()[-1])
        if facts.backpressure:
            assert count < 512
            wait_for_event(server, "closed greedy")
            assert_ends(sock)
        else:
            assert count == 1024


def test_client_that_is_too_slow_for_the_queue_is_disconnected(server: Server) -> None:
    with raw(server, "/flood?hasty") as sock:
        sock.sendall(build_frame(TEXT, b"go", key=KEY))
        assert int(wait_for_event(server, "flooded hasty").split()[-1]) < 1024
        assert wait_for_event(server, "closed hasty") == "closed hasty 1013"
        assert_ends(sock)


def test_send_waits_for_a_slow_client_and_others_are_served(server: Server, facts: Facts) -> None:
    with client(server, "/flow?slow") as websocket, client(server, "/echo") as other:
        websocket.send("go")
        for number in range(1024):
            assert len(websocket.recv(timeout=10)) == 64 * 1024
            if number % 256 == 0:
                time.sleep(0.2)
                other.send("x")
                assert other.recv(timeout=10) == "x"
    assert wait_for_event(server, "flooded slow") == "flooded slow 1024"


def assert_ends(sock: socket.socket) -> None:
    """Leave, read what is on its way, and find the end behind it."""
    sock.settimeout(10)
    with contextlib.suppress(ConnectionError):
        sock.shutdown(socket.SHUT_WR)  # some servers wait for a Close of this end
        while sock.recv(1 << 20):
            pass
