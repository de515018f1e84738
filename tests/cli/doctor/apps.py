"""Applications, healthy and sick, that the doctor is shown."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ws4py_middleware import EchoWebSocket, Rate, WebSocket, WebSocketASGI, WebSocketMiddleware

#: So few that any machine has the descriptors.
FEW: dict[str, Any] = {"max_connections": 100}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    status = "404 Not Found" if environ["PATH_INFO"] == "/nowhere" else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def repeat(ws: WebSocket, room: str) -> None:
    for message in ws:
        ws.send(message)


class Failing(WebSocket):
    def opened(self) -> None:
        raise LookupError("there is no room 7")


class Leaving(WebSocket):
    def opened(self) -> None:
        self.close(4000, "not today")


class ReadsAhead:
    """Middleware that has an input of its own for those behind it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        body: Iterable[bytes] = self.app({**environ, "wsgi.input": io.BytesIO()}, start_response)
        return body


ROUTES: dict[str, Any] = {"/echo": EchoWebSocket, "/chat/<room>": repeat}

healthy = WebSocketMiddleware(site, ROUTES, **FEW)
hidden = ReadsAhead(healthy)
failing = WebSocketMiddleware(site, {"/live": Failing}, **FEW)
leaving = WebSocketMiddleware(site, {"/live": Leaving}, **FEW)
threads = WebSocketMiddleware(site, {"/chat/<room>": repeat}, **FEW)
guarded = WebSocketMiddleware(
    site, ROUTES, authorize=lambda environ, **params: "HTTP_COOKIE" in environ, **FEW
)
careless = WebSocketMiddleware(
    site, ROUTES, origins="*", max_message_size=None, ping_interval=None, subprotocols=["chat.v1"], **FEW
)
limited = WebSocketMiddleware(site, ROUTES, handshake_rate=Rate(2, per=60), **FEW)
many = WebSocketMiddleware(site, ROUTES)
loop = WebSocketASGI(None, ROUTES, **FEW)
