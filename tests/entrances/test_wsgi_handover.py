"""The middleware in process: the connection changes hands, or stays the server's."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest

from tests.entrances.adapters import PIPES
from tests.entrances.in_process import ENVIRON, ask, call, site
from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketMiddleware, upgrade
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.manager import WebSocketManager


class Parrot(WebSocket):
    """Knows what it was made with."""

    made: ClassVar[list[Parrot]] = []

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.made.append(self)

    def received_message(self, message: Any) -> None:
        self.send(f"{message} {dict(self.params)}")


def exchange(client: socket.socket, text: bytes) -> bytes:
    """Send a masked text frame (the mask is zero), and read the text frame that comes back."""
    client.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    head = client.recv(2, socket.MSG_WAITALL)
    return client.recv(head[1], socket.MSG_WAITALL)


def test_handler_is_made_with_what_was_agreed_and_runs() -> None:
    manager = WebSocketManager()
    manager.start()
    try:
        app = WebSocketMiddleware(site, {"/<room>": Parrot}, manager=manager, subprotocols=["chat"])
        with PIPES.plugged(app) as plugged:
            response = ask(plugged, "/hall", HTTP_SEC_WEBSOCKET_PROTOCOL="x, chat", HTTP_X_A="1")
            assert response.status_int == 101
            head = plugged.read_head()
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in head
            assert exchange(plugged.client, b"hello") == b"hello {'room': 'hall'}"
            parrot = Parrot.made.pop()
            assert parrot in manager
            assert (parrot.protocols, parrot.subprotocol, parrot.extensions) == (["chat"], "chat", [])
            environ = parrot.environ or {}
            assert environ["HTTP_X_A"] == "1"
            assert environ["wsgi.input"].read() == b"", "the server's own is not kept alive"
    finally:
        manager.stop()


def test_constructor_that_raises_is_heard_before_anything_is_taken() -> None:
    class Broken(WebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            raise ZeroDivisionError

    with PIPES.plugged(WebSocketMiddleware(site, {"/ws": Broken})) as plugged:
        with pytest.raises(ZeroDivisionError):
            ask(plugged)
        plugged.server.sendall(b"still the server's own")


def test_constructor_may_refuse() -> None:
    class Picky(WebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            raise HandshakeError("not today", 403)

    with PIPES.plugged(WebSocketMiddleware(site, {"/ws": Picky})) as plugged:
        response = ask(plugged)
    assert (response.status_int, response.text) == (403, "not today\n")


def test_client_that_left_in_between_harms_nobody() -> None:
    manager = WebSocketManager()
    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, manager=manager)
    with PIPES.plugged(app) as plugged:
        plugged.client.close()
        assert ask(plugged).status_int == 101, "for the access log"
        assert plugged.server.recv(1) == b"", "the dummy has ended, too"
    assert len(manager) == 0


def test_manager_that_fails_leaves_no_half_open_connection() -> None:
    class Failing(WebSocketManager):
        def attach(self, *args: Any, **options: Any) -> None:
            raise ZeroDivisionError

    app = WebSocketMiddleware(site, {"/ws": EchoWebSocket}, manager=Failing())
    with PIPES.plugged(app) as plugged:
        with pytest.raises(ZeroDivisionError):
            ask(plugged)
        with contextlib.suppress(ConnectionResetError):
            plugged.read_head()
            assert plugged.client.recv(1) == b""


def test_header_of_a_view_that_may_not_be_sent_is_its_own_500() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        upgrade(EchoWebSocket)
        start_response("101 Switching Protocols", [("X-A", "1\r\nX-B: 2")])
        return []

    with PIPES.plugged(WebSocketMiddleware(app)) as plugged:
        with pytest.raises(ValueError, match="has a CR, LF or NUL"):
            call(plugged, {"PATH_INFO": "/", "REQUEST_METHOD": "GET", **ENVIRON})
        plugged.server.sendall(b"still the server's own")
