"""Limits and admission in the server of asyncio, and what becomes of places that nobody takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.entrances.asyncio_host import AsyncioHost, host
from tests.entrances.wire import Answer, build
from ws4py_middleware import admission
from ws4py_middleware.asgi import WebSocketASGI
from ws4py_middleware.async_websocket import AsyncWebSocket
from ws4py_middleware.async_websocket import EchoWebSocket as AsyncEcho
from ws4py_middleware.core.policy import Rate
from ws4py_middleware.functions import handler_class
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["host"]


@pytest.fixture(autouse=True)
def new_books() -> Iterator[None]:
    admission.disown()
    yield
    assert admission._books.counts == {}


def forwarded(address: str) -> dict[str, str | None]:
    return {"X-Forwarded-For": address}


def check_refused(answer: Answer) -> None:
    assert answer.status == 429
    assert int(answer.get("Retry-After") or 0) >= 1
    assert answer.get("Connection") == "close"


@pytest.mark.parametrize("kind", [EchoWebSocket, AsyncEcho])
def test_address_has_so_many_connections(host: AsyncioHost, kind: type[WebSocket]) -> None:
    host.serve(kind, max_connections_per_address=1, trusted_proxies=1)
    peer = host.open(forwarded("203.0.113.1"))
    check_refused(host.ask(build("/", forwarded("203.0.113.1"))))
    host.open(forwarded("203.0.113.2")).finish()
    peer.finish()
    host.wait_until(lambda: not admission._books.counts)
    host.open(forwarded("203.0.113.1")).finish()
    host.wait_until(lambda: not admission._books.counts)


def test_spoofed_header_is_not_looked_at(host: AsyncioHost) -> None:
    host.serve(EchoWebSocket, max_connections_per_address=1)
    peer = host.open(forwarded("203.0.113.1"))
    check_refused(host.ask(build("/", forwarded("203.0.113.2"))))
    peer.finish()
    host.wait_until(lambda: not admission._books.counts)


def test_handshakes_come_at_a_rate_and_keys_are_counted(host: AsyncioHost) -> None:
    host.serve(
        EchoWebSocket,
        handshake_rate=Rate(2, per=3600),
        max_connections_per_key=1,
        connection_key=lambda environ: environ["QUERY_STRING"],
    )
    peer = host.open()
    check_refused(host.ask(build("/chat?room=blue")))  # the key
    check_refused(host.ask(build("/chat?room=red")))  # the rate
    peer.finish()
    host.wait_until(lambda: not admission._books.counts)


def test_handler_that_cannot_be_made_takes_no_place(host: AsyncioHost) -> None:
    class Broken(WebSocket):
        def __init__(self, **options: Any) -> None:
            raise ZeroDivisionError("on purpose")

    host.serve(Broken, max_connections_per_address=1)
    for _ in range(2):
        assert host.ask(build("/")).status == 500


def test_function_handler_may_last_so_long(host: AsyncioHost) -> None:
    async def allow(ws: AsyncWebSocket) -> bool:
        await asyncio.sleep(0)
        return False

    async def wait(ws: AsyncWebSocket) -> None:
        assert await ws.receive() is None

    host.serve(handler_class(wait), max_lifetime=0.05, reauthorize=allow, max_connections_per_address=1)
    assert host.open().answer()[0] == 1008
    host.wait_until(lambda: not admission._books.counts)


# --- ASGI: a server that is the test ------------------------------------------------------------------


class Server:
    """Accepts, or fails to, and tells of the end at once."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.said: list[Any] = []
        self._events = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive(self) -> Any:
        return next(self._events)

    async def send(self, message: Any) -> None:
        if self.fails:
            raise OSError("the client has left")
        self.said.append(message)

    def run(self, app: WebSocketASGI, client: str | None = "203.0.113.1") -> None:
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/",
            "headers": [(b"host", b"localhost")],
            "client": None if client is None else (client, 4711),
            "extensions": {"websocket.http.response": {}},
        }
        asyncio.run(app(scope, self.receive, self.send))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("client", ["203.0.113.1", None])
def test_place_is_given_back_also_when_the_server_does_not_accept(fails: bool, client: str | None) -> None:
    app = WebSocketASGI(None, {"/": EchoWebSocket}, max_connections_per_address=1, signals=False)
    for _ in range(3):
        server = Server(fails=fails)
        server.run(app, client)
        assert [message["type"] for message in server.said] == ([] if fails else ["websocket.accept"])


def test_key_is_asked_for_beside_the_loop() -> None:
    def get_key(environ: dict[str, Any]) -> str:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        keys.append(environ["REMOTE_ADDR"])
        return keys[-1]

    keys: list[str] = []
    routes = {"/": EchoWebSocket}
    app = WebSocketASGI(None, routes, max_connections_per_key=1, connection_key=get_key, signals=False)
    Server().run(app)
    assert keys == ["203.0.113.1"]


def test_rate_is_asked_before_the_application() -> None:
    asked = []

    def authorize(scope: Any) -> bool:
        asked.append(scope)
        return True

    routes = {"/": EchoWebSocket}
    app = WebSocketASGI(None, routes, authorize=authorize, handshake_rate=Rate(1, per=3600), signals=False)
    Server().run(app)
    server = Server()
    server.run(app)
    assert server.said[0]["status"] == 429
    assert (b"Retry-After", b"3600") in [(name.title(), value) for name, value in server.said[0]["headers"]]
    assert len(asked) == 1
