"""The server of asyncio: what it refuses, and what a peer may cost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
import time
from typing import Any

import pytest

from tests.core.wire import BINARY
from tests.drivers.peer import Recorder, build, wait_until
from tests.drivers.test_tasks_async import AsyncRecorder
from tests.entrances.asyncio_host import AsyncioHost, host, kind
from tests.entrances.wire import Answer, parse
from tests.entrances.wire import build as build_request
from ws4py_middleware.async_websocket import AsyncWebSocket
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message
from ws4py_middleware.server.asyncioserver import WebSocketProtocol, serve
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["host", "kind"]


def check_refusal(answer: Answer, status: int) -> None:
    """Check what all refusals have in common; behind the one answer comes the end."""
    assert answer.status == status
    assert "close" in (answer.get("Connection") or "")
    assert answer.rest.decode().endswith("\n")
    assert answer.get("Content-Length") == str(len(answer.rest))


# --- the opening handshake ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (build_request("/", {"Upgrade": None}), 426),
        (build_request("/", {"Connection": "keep-alive"}), 400),
        (build_request("/", {"Sec-WebSocket-Key": "short"}), 400),
        (build_request("/", {"Sec-WebSocket-Version": "8"}), 426),
        (build_request("/", {"Content-Length": "5"}) + b"hello", 400),
        (build_request("/", {"Origin": "http://elsewhere.example"}), 403),
        (build_request("/", method="POST"), 405),
        (build_request("/").replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (build_request("/").replace(b"\r\n", b"\n"), 400),
        (build_request("/", {"X-Folded": "a\r\n b"}), 400),
        (build_request("/", {"X-Long": "a" * 8192}), 431),
        (b"GET /" + b"a" * 100_000, 431),
        (build_request("/", {f"X-{number}": "a" for number in range(100)}), 431),
        (build_request("/", {f"X-{number}": "a" * 8000 for number in range(5)}), 431),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_bad_requests_have_one_answer_and_the_end(
    host: AsyncioHost, request_: bytes, status: int, tls: bool
) -> None:
    host.serve(EchoWebSocket, tls=tls)
    # What comes behind is never taken for another request, and does not reset the answer.
    check_refusal(host.ask(request_ + build_request("/") * 3), status)
    host.wait_until(lambda: not len(host.manager))


def test_answer_to_head_has_no_body(host: AsyncioHost) -> None:
    host.serve(EchoWebSocket)
    answer = host.ask(build_request("/", method="HEAD"))
    assert (answer.status, answer.rest) == (405, b"")


def test_client_that_goes_on_talking_after_a_refusal_is_hung_up_on(host: AsyncioHost) -> None:
    host.serve(EchoWebSocket)
    sock = host.dial()
    sock.sendall(build_request("/", {"Upgrade": None}))
    began = time.monotonic()

    def talk() -> None:
        while time.monotonic() - began < 10:
            sock.sendall(b"x" * 1000)
            time.sleep(0.01)

    with pytest.raises(ConnectionError):
        talk()
    sock.close()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("drip", [False, True], ids=["silent", "dripping"])
def test_head_that_takes_too_long_is_refused_with_408(host: AsyncioHost, drip: bool, tls: bool) -> None:
    host.serve(EchoWebSocket, tls=tls, open_timeout=0.4)
    sock = host.dial()
    began = time.monotonic()
    sock.settimeout(0.01)
    data = b""
    request = iter(build_request("/", {"X-Long": "a" * 5000}))
    while time.monotonic() - began < 5:
        try:
            if drip and not data:
                sock.sendall(bytes([next(request)]))
            chunk = sock.recv(1000)
        except TimeoutError:
            continue
        if not chunk:
            break
        data += chunk
    assert 0.15 < time.monotonic() - began < 2
    check_refusal(parse(data), 408)
    sock.close()


def test_tls_that_does_not_come_to_an_end_is_hung_up_on(host: AsyncioHost) -> None:
    host.serve(EchoWebSocket, tls=True, open_timeout=0.4)
    sock = socket.create_connection(("127.0.0.1", host.port), timeout=5)
    began = time.monotonic()
    sock.sendall(b"\x16\x03\x01")
    assert sock.recv(100) == b""
    assert time.monotonic() - began < 2
    sock.close()
    host.problems.clear()  # asyncio's own report of it, at debug level or not


def test_one_too_many_is_told_to_come_again(host: AsyncioHost) -> None:
    host.serve(EchoWebSocket, max_connections=1)
    peer = host.open()
    answer = host.ask(build_request("/"))
    check_refusal(answer, 503)
    assert answer.get("Retry-After") == "5"
    peer.finish()
    host.wait_until(lambda: not len(host.manager))
    host.open().finish()


def test_handler_that_cannot_be_made_is_answered_with_500(
    host: AsyncioHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(EchoWebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            raise ValueError("boom")

    host.serve(Broken)
    check_refusal(host.ask(build_request("/")), 500)
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == 1
    assert errors[0].exc_info is not None


def test_mistakes_show_before_anybody_connects() -> None:
    with pytest.raises(TypeError, match="did you mean 'max_message_size'"):
        asyncio.run(serve(EchoWebSocket, "127.0.0.1", 0, max_mesage_size=1))
    with pytest.raises(TypeError, match="a handler is"):
        WebSocketProtocol("chat.Chat")
    with pytest.raises(ValueError, match="open_timeout is 0"):
        WebSocketProtocol(EchoWebSocket, open_timeout=0)

    class Forgetful(EchoWebSocket):
        async def opened(self) -> None: ...

    with pytest.raises(TypeError, match=r"class Forgetful\(AsyncWebSocket\)"):
        WebSocketProtocol(Forgetful)


# --- what a peer may cost -------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_echo_flood_of_one_who_does_not_read_is_bounded_and_loses_nothing(
    host: AsyncioHost, kind: type[Recorder], tls: bool
) -> None:
    host.serve(kind, tls=tls, write_high_water=2000)
    peer = host.open()
    host.wait_until(lambda: len(host.manager))
    link = next(iter(host.manager))._link
    stream = link.transport
    count, size = 400, 65536
    sent = 0

    def write() -> None:
        nonlocal sent
        for number in range(count):
            peer.send_bytes(build(BINARY, number.to_bytes(4, "big") * (size // 4)))
            sent = number + 1

    if tls:
        # Only one thread at a time may use an SSL object, so this one writes until nothing more fits.
        peer.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            write()
        peer.sock.settimeout(10)
        join = None
    else:
        join = host.spawn(write)
        host.wait_until(lambda: link.paused and not stream._reading)
    assert link.conn.queued < 2000 + 2 * size
    assert stream._arrived_size < 64 * 1024 + 256 * 1024
    assert host.call(stream._transport.get_write_buffer_size) <= 2 * 64 * 1024
    assert sent < count
    for number in range(count if join else sent):
        assert peer.read() == number.to_bytes(4, "big") * (size // 4)
    if join is not None:
        join()
    peer.sock.close()


def test_broadcast_does_not_wait_for_those_who_do_not_read(host: AsyncioHost) -> None:
    made: list[Any] = []

    class Noted(AsyncRecorder):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    host.serve(Noted)
    stuck, good = host.open(), host.open()
    data = bytes(65536)
    for _ in range(200):
        host.call(host.manager.broadcast, data, True)
        assert good.read() == data
        assert all(recorder._link.conn.queued <= 2**20 for recorder in made)
    assert host.wait_closed(made[0])[0] == 1013
    stuck.sock.close()
    good.finish()


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_stuck_peer_is_dropped(host: AsyncioHost, tls: bool) -> None:
    made: list[Any] = []

    class Noted(AsyncRecorder):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

        def on_opened(self) -> None:
            self.send(bytes(2**24), binary=True)

    host.serve(Noted, tls=tls, write_timeout=0.2)
    peer = host.open()
    assert host.wait_closed(made[0])[0] == 1006
    host.wait_until(lambda: made[0]._link.transport._is_lost)
    peer.sock.close()


def test_handler_that_is_behind_lets_the_peer_wait(host: AsyncioHost) -> None:
    made: list[Any] = []
    go_on: list[asyncio.Event] = []

    class Slow(AsyncRecorder):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

        async def after_message(self, message: Any) -> None:
            if not go_on:
                go_on.append(asyncio.Event())
                await go_on[0].wait()

    host.serve(Slow)
    peer = host.open()
    count = 20_000
    join = host.spawn(lambda: peer.send_bytes(build(BINARY, bytes(1000)) * count))
    host.wait_until(lambda: go_on and not made[0]._link.transport._reading)
    assert made[0]._link.transport._arrived_size < 2**20
    assert len(made[0].messages) == 1
    host.loop.call_soon_threadsafe(go_on[0].set)
    join()
    host.wait_until(lambda: len(made[0].messages) == count)
    peer.finish()


def test_handlers_and_protocols_go_with_their_connections(host: AsyncioHost, kind: type[Recorder]) -> None:
    host.serve(kind)
    for _ in range(20):
        peer = host.open()
        peer.send("x")
        assert peer.read() == "x"
        peer.finish()
    host.wait_until(lambda: not len(host.manager))

    def count() -> int:
        gc.collect()
        # Not isinstance(): Django's settings, say, answer it with what they stand for.
        return sum(issubclass(type(each), kind | WebSocketProtocol) for each in gc.get_objects())

    host.wait_until(lambda: count() == 0)


@pytest.mark.parametrize("base", [WebSocket, AsyncWebSocket], ids=["sync", "async"])
def test_message_for_one_who_has_reset_is_not_in_the_log(
    host: AsyncioHost, base: type[WebSocket], caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio complains of each piece that is written behind an error."""
    inside, go_on, sent = (threading.Event() for _ in range(3))

    class Late(base):  # type: ignore[misc,valid-type]
        def received_message(self, message: Message) -> None:
            inside.set()
            assert go_on.wait(10)  # the loop as well, so that it does not hear of the reset before
            with contextlib.suppress(ConnectionClosed):
                self.send(bytes(1_000_000), binary=True)
            sent.set()

    host.serve(Late)
    peer = host.open()
    peer.send("x")
    assert inside.wait(10)
    peer.reset()
    go_on.set()
    assert sent.wait(10)
    wait_until(lambda: not host.manager._seats)
    assert caplog.records == []
