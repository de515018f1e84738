from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ws4py_middleware import WebSocket, WebSocketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def echo(ws: WebSocket) -> None:
    while (message := ws.receive()) is not None:
        ws.send(message)


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a page"]


app = WebSocketMiddleware(site, {"/": echo})
