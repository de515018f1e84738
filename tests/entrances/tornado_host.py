"""A server of tornado's own, in a loop and a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

_T = TypeVar("_T")


class Echo(WebSocketHandler):
    """Say what is said; agree to the first subprotocol."""

    def initialize(self, host: TornadoHost) -> None:
        self.host = host

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[0] if subprotocols else None

    def get_compression_options(self) -> dict[str, Any] | None:
        return {}

    def open(self, *args: str, **kwargs: str) -> None:
        self.host.peers.append(self)

    def on_message(self, message: str | bytes) -> None:
        self.host.messages.append(message)
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        self.host.ends.append((self.close_code, self.close_reason))


class TornadoHost:
    """What the server has seen, and where it is."""

    def __init__(self, tls: ssl.SSLContext | None, port: int) -> None:
        self.peers: list[Echo] = []
        self.messages: list[str | bytes] = []
        #: Close code and reason of each connection that has ended.
        self.ends: list[tuple[int | None, str | None]] = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        (sock,) = bind_sockets(port, "127.0.0.1")
        self.port: int = sock.getsockname()[1]
        self.origin = f"{'wss' if tls else 'ws'}://localhost:{self.port}"
        self.url = f"{self.origin}/echo"
        application = Application([("/echo", Echo, {"host": self})])
        self.server: HTTPServer = self.call(HTTPServer, application, ssl_options=tls)
        self.call(self.server.add_socket, sock)

    def call(self, function: Callable[..., _T], *args: Any, **options: Any) -> _T:
        """Call a function in the loop's thread."""

        async def call() -> _T:
            return function(*args, **options)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _close(self) -> None:
        self.server.stop()
        for peer in self.peers:
            peer.close(1001)
        await self.server.close_all_connections()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=5)


@contextlib.contextmanager
def tornado_server(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[TornadoHost]:
    """Serve ``/echo``, until the end of the block."""
    host = TornadoHost(tls, port)
    try:
        yield host
    finally:
        host.close()
