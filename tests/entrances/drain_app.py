"""
What is drained: WebSockets that answer with many messages, and HTTP that takes its time.

``DRAIN_WINDOW`` and ``DRAIN_GRACE`` are the settings, ``OWN_SIGTERM`` has the application handle it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from asgiref.wsgi import WsgiToAsgi

from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.exchanges import Exchange
from ws4py_middleware.messaging import Message

#: The size of each message of an answer.
SIZE = 2048


class Burst(WebSocket):
    """Answer with as many messages as were asked for; most of them have to wait for the client to read."""

    def opened(self) -> None:
        if not isinstance(self.sock, Exchange):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def received_message(self, message: Message) -> None:
        for number in range(int(str(message))):
            self.send(b"%06d" % number + bytes(SIZE - 6), binary=True)


class Stuck(WebSocket):
    """Does not come back from its first message for a long time."""

    def received_message(self, message: Message) -> None:
        time.sleep(float(str(message)))


def pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/slow":
        time.sleep(float(query))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


_adapt: Any = WsgiToAsgi
asgi_pages = _adapt(pages)


def _time(name: str) -> Any:
    return float(os.environ[name]) if name in os.environ else None


_routes = {"/echo": EchoWebSocket, "/burst": Burst, "/stuck": Stuck}
_options = {"drain_window": _time("DRAIN_WINDOW"), "drain_grace": _time("DRAIN_GRACE") or 3.0}

app = WebSocketMiddleware(pages, _routes, **_options)
asgi_app = WebSocketASGI(asgi_pages, _routes, **_options)


def _exit(number: int, frame: object) -> None:
    _server_exits(number, frame)


if "OWN_SIGTERM" in os.environ:
    _server_exits: Any = signal.signal(signal.SIGTERM, _exit)
