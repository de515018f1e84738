"""
An echo server: a bare WSGI application, and one line that gives it a WebSocket route.

    gunicorn app:app
    gunicorn -k gthread --threads 2 app:app
    gunicorn -k gevent app:app
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ws4py_middleware import EchoWebSocket, WebSocketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer what is not a WebSocket."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Connect to /echo with a WebSocket.\n"]


app = WebSocketMiddleware(site, {"/echo": EchoWebSocket})
