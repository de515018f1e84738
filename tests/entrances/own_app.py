"""A site for the package's own servers: WebSockets at the paths of the matrix, and more; HTTP elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from tests.matrix.handlers import OPTIONS, ROUTES
from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketMiddleware
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication


class Named(WebSocketWSGIApplication):
    """What ws4py's users override."""

    def make_websocket(self, sock: Any, protocols: Any, extensions: Any, environ: Any) -> WebSocket:
        websocket = super().make_websocket(sock, protocols, extensions, environ)
        assert id(environ["ws4py.websocket"]) == id(websocket)
        websocket.params = {"thread": threading.get_ident(), "keys": sorted(websocket.environ)}
        return websocket


class Telling(WebSocket):
    """Says what it knows, and then echoes."""

    def opened(self) -> None:
        keys = [key for key in self.params["keys"] if key.startswith(("ws4py", "wsgi.input"))]
        self.send(f"{self.subprotocol} {len(self.extensions or ())} {keys} {self.policy.max_message_size}")

    def received_message(self, message: Any) -> None:
        self.send(message)


class Broken(WebSocket):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


_WEBSOCKETS: dict[str, Any] = {
    **{path: WebSocketWSGIApplication(handler_cls=cls, **OPTIONS) for path, cls in ROUTES.items()},
    "/chat": Named(["chat.v2", "chat.v1"], ["permessage-deflate"], Telling, max_message_size=4096),
    "/function": WebSocketWSGIApplication(handler_cls=echo),
    "/broken": WebSocketWSGIApplication(handler_cls=Broken),
    "/full": WebSocketWSGIApplication(handler_cls=EchoWebSocket, max_connections=1),
    "/lazy": lambda environ, start_response: (yield from _WEBSOCKETS["/echo"](environ, start_response)),
}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


_beside = WebSocketMiddleware(site, {"/middleware": EchoWebSocket})


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    found = _WEBSOCKETS.get(environ["PATH_INFO"], _beside)
    body: Iterable[bytes] = found(environ, start_response)
    return body
