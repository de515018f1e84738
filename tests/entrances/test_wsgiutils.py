"""The WSGI application that is one WebSocket: on each server, and on one that follows ws4py's contract."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.entrances import own_app
from tests.entrances.adapters import PIPES
from tests.entrances.in_process import ENVIRON, call
from tests.entrances.wire import ACCEPT, ask, build
from tests.matrix.columns import connect, end_of, try_close, try_early
from tests.promises.attacker import Peer
from tests.promises.wire import BINARY, NO_KEY, TEXT, close_frame, frame, request
from tests.servers import KINDS, start, wait_for
from ws4py_middleware import AsyncWebSocket, EchoWebSocket, WebSocket
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication, make_policy

# --- servers that know nothing of ws4py ------------------------------------------------------------------


# Over TLS the hand-over is the same as everywhere, and the matrix has tried that.
@pytest.mark.parametrize(("kind", "tls"), [*((kind, False) for kind in KINDS), ("gunicorn-gthread", True)])
def test_application_needs_no_key_on_servers_that_handover_knows(kind: str, tls: bool) -> None:
    with start(kind, "tests.entrances.own_app:app", tls=tls) as server:
        assert (try_early(server), try_close(server)) == ("kept", "clean")
        with connect(server, "/chat") as peer:
            assert b"Sec-WebSocket" in peer.head
            assert peer.read_frame().payload == b"None 0 ['wsgi.input'] 4096"
        assert ask(server.connect(), build("/echo", {"Sec-WebSocket-Key": None})).status == 400
        assert ask(server.connect(), build("/echo", {"Sec-WebSocket-Version": "8"})).status == 426
        assert ask(server.connect(), build("/echo", {"Origin": "https://evil.example"})).status == 403
        assert server.http("/").body == b"hello"
        assert "Traceback" not in server.log


# --- a server of somebody else, made by the book -----------------------------------------------------------


class ForeignServer:
    """Puts the socket in, takes the websocket out; of this package it knows the manager only."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.manager = WebSocketManager()
        self.environs: list[dict[str, Any]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener is shut down
            while True:
                self._answer(self._listener.accept()[0])

    def _answer(self, sock: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)  # no more than the request
        line, *fields = head.decode("latin-1").strip().split("\r\n")
        method, path, protocol = line.split(" ")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_PROTOCOL": protocol,
            "SERVER_SOFTWARE": "foreign/1.0",
            "wsgi.input": io.BytesIO(),
            "ws4py.socket": sock,
        }
        for name, _, value in (field.partition(": ") for field in fields):
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        status, headers, body = call(self.app, environ)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        sock.sendall("\r\n".join(lines).encode("latin-1") + body)
        websocket = environ.pop("ws4py.websocket", None)
        del environ["ws4py.socket"]
        self.environs.append(environ)
        if websocket is None:
            sock.close()
        else:
            self.manager.add(websocket)

    def __enter__(self) -> ForeignServer:
        self.manager.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.manager.shutdown()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=5)


@pytest.fixture
def foreign() -> Iterator[ForeignServer]:
    with ForeignServer(own_app.app) as server:
        yield server


def test_foreign_server_gets_a_websocket_for_its_manager(foreign: ForeignServer) -> None:
    with Peer(foreign.connect()) as peer:
        peer.send(request("/echo") + frame(TEXT, b"early"))
        assert peer.read_head() == 101
        assert peer.head.split(b"\r\n") == [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            f"Sec-WebSocket-Accept: {ACCEPT}".encode(),
        ]
        assert peer.read_frame().payload == b"early"
        peer.echo()
        assert len(foreign.manager) == 1
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""
    wait_for(lambda: len(foreign.manager) == 0)
    assert [key for key in foreign.environs[0] if key.startswith("ws4py")] == []


def test_foreign_servers_websocket_has_what_was_agreed_on_and_the_applications_policy(
    foreign: ForeignServer,
) -> None:
    with Peer(foreign.connect()) as peer:
        head = build(
            "/chat",
            {"Sec-WebSocket-Protocol": "chat.v1", "Sec-WebSocket-Extensions": "permessage-deflate"},
        )
        peer.send(head)
        assert peer.read_head() == 101
        assert b"Sec-WebSocket-Protocol: chat.v1\r\n" in peer.head + b"\r\n"
        assert b"Sec-WebSocket-Extensions: permessage-deflate" in peer.head
        found = peer.read_frame()
        assert found.payload == b"chat.v1 1 ['wsgi.input'] 4096"
        peer.send(frame(TEXT, b"x" * 4097))
        peer.expect_close(1009)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Upgrade": None, "Connection": None}, 426),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
def test_foreign_server_gets_a_refusal_and_no_websocket(
    foreign: ForeignServer, changes: dict[str, str | None], status: int
) -> None:
    assert ask(foreign.connect(), build("/echo", changes)).status == status
    assert len(foreign.manager) == 0


def test_message_of_5_mb_goes_both_ways_on_a_foreign_server(foreign: ForeignServer) -> None:
    payload = bytes(range(250)) * 20_000
    with Peer(foreign.connect()) as peer:
        peer.send(request("/echo"))
        assert peer.read_head() == 101
        peer.send(frame(BINARY, payload, key=NO_KEY))
        assert peer.read_frame().payload == payload


# --- the arguments ---------------------------------------------------------------------------------------


def test_arguments_are_kept_and_become_a_policy() -> None:
    class Small(WebSocket):
        policy = Policy(max_message_size=10, ping_interval=5)

    app = WebSocketWSGIApplication(["chat"], ["permessage-deflate"], Small, ping_interval=7)
    assert (app.protocols, app.extensions, app.handler_cls) == (["chat"], ["permessage-deflate"], Small)
    assert app.policy == Policy(
        max_message_size=10, ping_interval=7, subprotocols=["chat"], compression=DeflateOptions()
    )


def test_make_policy_leaves_alone_what_is_not_said() -> None:
    policy = Policy(subprotocols=["a"], compression=DeflateOptions(level=1))
    assert make_policy(policy, None, None) == policy
    assert make_policy(policy, [], ["permessage-deflate"]) == policy.replace(subprotocols=[])
    assert make_policy(policy, None, []).compression is False


def test_wrong_arguments_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="'x-webkit-deflate-frame' is not known here; there is 'permess"):
        WebSocketWSGIApplication(extensions=["x-webkit-deflate-frame"])
    with pytest.raises(TypeError, match="did you mean 'handler_cls'"):
        WebSocketWSGIApplication(handler_class=EchoWebSocket)
    with pytest.raises(TypeError, match="did you mean 'max_message_size'"):
        WebSocketWSGIApplication(max_mesage_size=1)
    with pytest.raises(TypeError, match="is async, and a WSGI server has no asyncio loop"):
        WebSocketWSGIApplication(handler_cls=AsyncWebSocket)
    with pytest.raises(TypeError, match="subclass of WebSocket or a function"):
        WebSocketWSGIApplication(handler_cls=42)  # type: ignore[arg-type]


# --- without a server --------------------------------------------------------------------------------------


def test_websocket_of_a_server_without_the_key_is_in_the_environ_too() -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **ENVIRON}
    with PIPES.plugged(WebSocketWSGIApplication(handler_cls=EchoWebSocket)) as plugged:
        status, headers, body = call(plugged.app, environ)
        assert (status, headers, body) == ("101 Switching Protocols", [], b"")
        assert plugged.read_head().startswith(b"HTTP/1.1 101 ")
        websocket: Any = environ["ws4py.websocket"]
        assert isinstance(websocket, EchoWebSocket)
        assert "ws4py.websocket" not in websocket.environ
        with Peer(plugged.client) as peer:
            peer.echo()
            websocket.close()
            peer.expect_close(1000)


def test_manager_of_ones_own_runs_the_connection() -> None:
    manager = WebSocketManager()
    manager.start()
    app = WebSocketWSGIApplication(handler_cls=EchoWebSocket, manager=manager)
    with PIPES.plugged(app) as plugged:
        call(plugged.app, {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **ENVIRON})
        assert len(manager) == 1
        manager.shutdown(timeout=0)
        assert len(manager) == 0


def test_server_that_hides_its_socket_is_told_about_with_501() -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_SOFTWARE": "odd/1", **ENVIRON}
    status, _, body = call(WebSocketWSGIApplication(handler_cls=EchoWebSocket), environ)
    assert status == "501 Not Implemented"
    assert b"odd/1 does not give up its connection" in body


def test_opening_a_handler_that_refuses_by_itself_is_an_answer() -> None:
    class Picky(WebSocket):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise HandshakeError("not today", 403)

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "ws4py.socket": None, **ENVIRON}
    status, _, body = call(WebSocketWSGIApplication(handler_cls=Picky), environ)
    assert (status, body) == ("403 Forbidden", b"not today\n")
