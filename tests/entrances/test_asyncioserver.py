"""The server of asyncio: real sockets, foreign clients; handlers of both kinds, plain and through TLS."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.core.wire import TEXT
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build
from tests.drivers.test_tasks_async import AsyncRecorder
from tests.entrances.asyncio_host import AsyncioHost, host, kind, open_at
from tests.entrances.wire import build as build_request
from ws4py_middleware import async_websocket
from ws4py_middleware.messaging import Message
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.server import asyncioserver, tulipserver
from ws4py_middleware.server.asyncioserver import WebSocketProtocol, serve
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["host", "kind"]


@pytest.fixture
def made() -> list[Any]:
    """The handlers that a server has made, with :func:`noting`."""
    return []


def noting(kind: type[Recorder], made: list[Any]) -> type[Recorder]:
    class Noted(kind):  # type: ignore[misc,valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    return Noted


# --- what works ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_echo_with_a_foreign_client(
    host: AsyncioHost, kind: type[Recorder], made: list[Any], tls: bool
) -> None:
    host.serve(noting(kind, made), tls=tls, max_message_size=2**23)
    with connect(host.url, ssl=host.client_context, max_size=None, proxy=None) as client:
        for message in ("Grüße", b"\x00\xff", "", b"\x00\xff" * 2_500_000):
            client.send(message)
            assert client.recv(timeout=20) == message
        client.close(4001, "bye")
    assert host.wait_closed(made[0]) == (4001, "bye")
    assert [event[0] for event in made[0].seen] == ["opened", *["message"] * 4, "closed"]


@pytest.mark.parametrize("handler", [EchoWebSocket, async_websocket.EchoWebSocket])
@pytest.mark.parametrize("module", [asyncioserver, tulipserver])
def test_as_ws4py_documented_it(host: AsyncioHost, handler: type[WebSocket], module: Any) -> None:
    """A factory that ``loop.create_server`` calls; the manager is the loop's own."""

    async def start() -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: module.WebSocketProtocol(handler), "127.0.0.1", 0)

    host.listen(host.run(start()))
    with host.open() as peer:
        peer.send("hello")
        assert peer.read() == "hello"
        peer.finish()

    async def stop() -> None:
        await get_task_manager().shutdown_async()

    host.run(stop())


def test_protocol_shows_what_it_has(host: AsyncioHost) -> None:
    protocols: list[WebSocketProtocol] = []
    closed: list[Any] = []

    class Handler(async_websocket.WebSocket):
        async def opened(self) -> None:
            self.send(f"{self.environ['PATH_INFO']}?{self.environ['QUERY_STRING']}")

        async def closed(self, code: int, reason: str | None = None) -> None:
            closed.append(self.peer_address)

    def make() -> WebSocketProtocol:
        protocols.append(WebSocketProtocol(Handler, manager=host.manager, subprotocols=["chat"]))
        return protocols[-1]

    async def start() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)

    host.listen(host.run(start()))
    peer = host.open({"Sec-WebSocket-Protocol": "other, chat", "Cookie": "a=b", "X-Twice": "1"})
    assert peer.read() == "/chat?room=blue"
    websocket: Any = protocols[0].ws
    assert isinstance(websocket, Handler)
    assert websocket.proto is protocols[0]
    assert websocket.subprotocol == "chat"
    assert websocket.environ["HTTP_COOKIE"] == "a=b"
    assert websocket.environ["wsgi.url_scheme"] == "http"
    assert websocket.environ["REMOTE_ADDR"] == "127.0.0.1"
    assert websocket.local_address == ("127.0.0.1", host.port)
    assert websocket.peer_address == peer.sock.getsockname()
    assert websocket.sock.fileno() > 0
    assert protocols[0].request is not None
    assert protocols[0].request.target == "/chat?room=blue"
    address = peer.sock.getsockname()
    peer.finish()
    host.wait_until(lambda: closed == [address])


def test_frames_in_the_segment_of_the_request_are_kept(host: AsyncioHost, kind: type[Recorder]) -> None:
    host.serve(kind)
    peer = host.open(early=build(TEXT, b"first") + build(TEXT, b"second") + build(TEXT, b"half")[:3])
    peer.send_bytes(build(TEXT, b"half")[3:])
    assert [peer.read() for _ in range(3)] == ["first", "second", "half"]
    peer.finish()


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_request_byte_by_byte(host: AsyncioHost, tls: bool) -> None:
    host.serve(EchoRecorder, tls=tls)
    with host.dial() as sock:
        for byte in build_request("/") + build(TEXT, b"x"):
            sock.sendall(bytes([byte]))
        data = b""
        while not data.endswith(b"\x81\x01x"):
            data += sock.recv(1000)
        assert data.startswith(b"HTTP/1.1 101 ")


def test_functions_are_handlers(host: AsyncioHost) -> None:
    async def shout(ws: async_websocket.WebSocket) -> None:
        async for message in ws:
            await ws.send(str(message).upper())

    def whisper(ws: WebSocket) -> None:
        for message in ws:
            ws.send(str(message).lower())

    for function, expected in ((shout, "HI"), (whisper, "hi")):
        host.serve(function)
        peer = host.open(early=build(TEXT, b"Hi"))
        assert peer.read() == expected
        peer.finish()


def test_two_hundred_idle_ones_and_one_that_talks(host: AsyncioHost, kind: type[Recorder]) -> None:
    host.serve(kind)
    idle = [host.open() for _ in range(200)]
    peer = host.open()
    for number in range(50):
        peer.send(str(number))
        assert peer.read() == str(number)
    assert len(host.manager) == 201
    host.manager.broadcast("to all")
    for each in [*idle, peer]:
        assert each.read() == "to all"
        each.close()
    for each in [*idle, peer]:
        assert each.read_close() == (1000, "")
        each.read_end()
    host.wait_until(lambda: not len(host.manager))


# --- ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("end", ["eof", "eof in a frame", "reset", "half"])
def test_peer_that_vanishes(
    host: AsyncioHost, kind: type[Recorder], made: list[Any], end: str, tls: bool
) -> None:
    host.serve(noting(kind, made), tls=tls)
    peer = host.open()
    peer.send("hello")
    assert peer.read() == "hello"
    if end == "eof in a frame":
        peer.send_bytes(build(TEXT, b"x" * 1000)[:-1])
    if end == "half":
        peer.close(4000)
        peer.sock.shutdown(socket.SHUT_WR)  # of TCP, and without a word of TLS
        if not tls:
            assert peer.read_close() == (4000, "")
            peer.read_end()
        code = 4000
    else:
        code = 1006
    if end == "reset":
        peer.reset()
    else:
        peer.sock.close()
    assert host.wait_closed(made[0])[0] == code


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_peer_that_keeps_tcp_open_after_the_handshake_is_hung_up_on(host: AsyncioHost, tls: bool) -> None:
    host.serve(EchoRecorder, tls=tls)
    peer = host.open()
    peer.close()
    assert peer.read_close() == (1000, "")
    peer.read_end()
    host.wait_until(lambda: not len(host.manager))


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_shutdown_closes_all_with_1001(host: AsyncioHost, tls: bool) -> None:
    made: list[Any] = []
    host.serve(noting(AsyncRecorder, made), tls=tls)
    peers = [host.open() for _ in range(20)]
    join = host.spawn(lambda: host.run(host.manager.shutdown_async()))
    for peer in peers:
        assert peer.answer() == (1001, "Server is shutting down")
    join()
    for recorder in made:
        assert recorder.wait_closed()[0] == 1001
    assert host.ask(build_request("/")).status == 503


def test_hook_that_raises_closes_with_1011_and_logs_once(
    host: AsyncioHost, kind: type[Recorder], made: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Boom(noting(kind, made)):  # type: ignore[misc]
        def on_message(self, message: Message) -> None:
            raise ValueError("boom")

    host.serve(Boom)
    peer = host.open(early=build(TEXT) * 3)
    assert peer.answer() == (1011, "internal error")
    assert host.wait_closed(made[0])[0] == 1011
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == 1
    assert errors[0].exc_info is not None


def test_cancelled_task_closes_with_1001(host: AsyncioHost, kind: type[Recorder], made: list[Any]) -> None:
    host.serve(noting(kind, made))
    peer = host.open(early=build(TEXT, b"x"))
    assert peer.read() == "x"
    task = host.manager.task_of(made[0])
    assert task is not None
    host.call(task.cancel)
    assert peer.read_close()[0] == 1001
    peer.read_end()
    assert host.wait_closed(made[0])[0] == 1001


def test_end_of_asyncio_run_tells_everybody() -> None:
    """With the connections of a real server, and nobody who closes anything."""
    made: list[Any] = []

    async def main() -> Peer:
        server = await serve(noting(AsyncRecorder, made), "127.0.0.1", 0)
        peer = await asyncio.to_thread(open_at, server.sockets[0].getsockname()[1])
        server.close()
        return peer

    with asyncio.run(main()) as peer:
        assert peer.read_close() == (1001, "Server is shutting down")
        peer.read_end()
    assert made[0].wait_closed()[0] == 1001
