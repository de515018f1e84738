"""A site that refuses in every way there is, for test_wsgi_wire.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Response

from ws4py_middleware import EchoWebSocket, Route, WebSocketMiddleware


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    status, text = {
        "/": ("200 OK", b"home"),
        "/members": ("401 Unauthorized", b"who are you?"),
    }.get(environ["PATH_INFO"], ("404 Not Found", b"nothing here"))
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


def to_login(environ: Any) -> Response:
    return Response("please log in", 302, {"Location": "/login", "Set-Cookie": "next=/ws"})


app = WebSocketMiddleware(
    site,
    {
        "/echo": EchoWebSocket,
        "/no": Route(EchoWebSocket, authorize=lambda environ: False),
        "/login-first": Route(EchoWebSocket, authorize=to_login),
    },
)
