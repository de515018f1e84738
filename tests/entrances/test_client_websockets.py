"""WebSocketBaseClient against the server of ``websockets``: plain, inside TLS, over a Unix socket."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, basic_auth, serve, unix_serve

from tests.servers import client_context, server_context
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.exc import ConnectionClosed, HandshakeError

KINDS = ["plain", "tls", "unix", "unix-tls"]


def handle(connection: ServerConnection) -> None:
    """Echo; some messages are commands."""
    with contextlib.suppress(Exception):
        for message in connection:
            if message == "close":
                connection.close(4001, "as you wish")
            elif message == "away":
                connection.close(1001)
            elif message == "ping":
                connection.ping(b"from the server").wait(5)
                connection.send("pong came")
            elif message == "path":
                assert connection.request is not None
                connection.send(connection.request.path)
            elif message == "fragments":
                connection.send(["a", "b", "", "c"])
            else:
                connection.send(message)


@contextlib.contextmanager
def running(kind: str, folder: Path, **options: Any) -> Iterator[str]:
    """Run a server in a thread; its URL, without a slash at the end."""
    context = server_context() if kind.endswith("tls") else None
    server: Server
    if kind.startswith("unix"):
        path = str(folder / "socket")
        server = unix_serve(handle, path, ssl=context, **options)
        url = f"ws{'s' if context else ''}+unix://{path}"
    else:
        server = serve(handle, "127.0.0.1", 0, ssl=context, **options)
        url = f"ws{'s' if context else ''}://localhost:{server.socket.getsockname()[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join(10)
        server.socket.close()


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with running(request.param, tmp_path) as url:
        yield url


def connect(url: str, **options: Any) -> WebSocketBaseClient:
    return WebSocketBaseClient(url, ssl_options=client_context(), **options)


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("size", [0, 125, 126, 65536, 1_000_000])
def test_messages_of_every_size_come_back(url: str, size: int, compression: bool) -> None:
    with connect(url, compression=compression) as client:
        assert bool(client.extensions) is compression
        client.send(b"\xff\0" * (size // 2), binary=True)
        message = client.receive(10)
        assert message is not None
        assert (message.is_binary, message.data) == (True, b"\xff\0" * (size // 2))
        client.send("\u00e9" * (size // 2))
        assert str(client.receive(10)) == "\u00e9" * (size // 2)


def test_fragments_both_ways(url: str) -> None:
    with connect(url) as client:
        client.send(["one ", b"two ", "three"])
        assert str(client.receive(10)) == "one two three"
        client.send("fragments")
        assert str(client.receive(10)) == "abc"


def test_pings_are_answered_while_a_message_is_waited_for(url: str) -> None:
    with connect(url) as client:
        client.send("ping")
        assert str(client.receive(10)) == "pong came"


def test_pongs_and_the_servers_close_reach_the_hooks(url: str) -> None:
    seen: list[Any] = []

    class Client(WebSocketBaseClient):
        def opened(self) -> None:
            seen.append("opened")
            self.ping("?")

        def ponged(self, pong: Any) -> None:
            seen.append(("ponged", pong.data))
            self.send("close")

        def closed(self, code: int, reason: str | None = None) -> None:
            seen.append(("closed", code, reason))

    client = Client(url, ssl_options=client_context())
    client.connect()
    client.run()
    assert seen == ["opened", ("ponged", b"?"), ("closed", 4001, "as you wish")]
    assert client.terminated
    with pytest.raises(ConnectionClosed, match="closed"):
        client.send("x")


def test_iteration_ends_with_the_connection_and_connect_makes_a_new_one(url: str) -> None:
    client = connect(f"{url}?a=b" if "unix" in url else f"{url}/?a=b")
    keys = set()
    for _ in range(3):
        client.connect()
        assert client.is_open
        with pytest.raises(RuntimeError, match="connected already"):
            client.connect()
        keys.add(client.key)
        client.send("path")
        client.send("close")
        assert [str(message) for message in client] == ["/?a=b"]
        assert client.terminated
        assert client.sock.fileno() == -1
        with pytest.raises(ConnectionClosed):
            client.send("x")
    assert len(keys) == 3


def test_connect_waits_for_the_end_of_a_closing_handshake(url: str) -> None:
    client = connect(url)
    socks = []
    for _ in range(3):
        client.connect()
        socks.append(client.sock)
        client.send("unread")
        client.close()
    client.connect()
    assert {sock.fileno() for sock in socks} == {-1}
    assert client.is_open
    assert not client.terminated
    client.close()
    client.run()


def test_subprotocol_is_agreed_on_again_each_time(tmp_path: Path) -> None:
    with running("plain", tmp_path, subprotocols=["v2", "v1"]) as url:
        client = connect(url, protocols=["v1", "v2", "v3"])
        for _ in range(2):
            client.connect()
            assert (client.protocols, client.subprotocol) == (["v2"], "v2")
            client.close()
        client.run()


def test_headers_cookies_and_basic_authentication(tmp_path: Path) -> None:
    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Cookie") != "a=b":
            return connection.respond(403, "no cookie\n")
        return None

    with running("plain", tmp_path, process_request=answer) as url:
        with connect(url, headers=[("Cookie", "a=b")]) as client:
            assert dict(client.response_headers)["Upgrade"] == "websocket"
        with pytest.raises(HandshakeError) as caught:
            connect(url).connect()
        assert (caught.value.status, caught.value.body) == (403, b"no cookie\n")
    with running("plain", tmp_path, process_request=basic_auth(credentials=("user", "p@ss"))) as url:
        with connect(url.replace("ws://", "ws://user:p%40ss@")) as client:
            client.send("in")
            assert str(client.receive(5)) == "in"
        with pytest.raises(HandshakeError, match="401") as caught:
            connect(url).connect()
        assert any(name == "WWW-Authenticate" for name, _ in caught.value.headers)


def test_a_server_that_goes_away_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running("plain", tmp_path) as url:
        client = connect(url)
        client.connect()
        client.send("away")
        assert client.receive(5) is None
    assert client._link is not None
    assert client._link.conn.close_code == 1001
    with pytest.raises(ConnectionRefusedError):
        client.connect()
    assert not [record for record in caplog.records if record.name == "ws4py_middleware"]
