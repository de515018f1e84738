"""A site that answers in all the ways that there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ws4py_middleware import EchoWebSocket, Route, WebSocketMiddleware

#: Path → the answer to a plain request, and to an upgrade that is none of ours.
ANSWERS = {
    "/moved": "302 Found",
    "/secret": "401 Unauthorized",
    "/broken": "500 Internal Server Error",
    "/away": "502 Bad Gateway",
    "/full": "503 Service Unavailable",
    "/old": "426 Upgrade Required",
    "/odd": "418 I'm a teapot",
    "/hidden": "501 Not Implemented",
    "/page": "200 OK",
    "/": "200 OK",
}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    status = ANSWERS.get(environ["PATH_INFO"], "404 Not Found")
    headers = [("Content-Type", "text/html"), ("Location", "https://example.com/live")]
    start_response(status, headers[: 2 if status.startswith("3") else 1])
    return [b"<!doctype html><html><head><title>Our \x1b[31mshop</title></head></html>"]


app = WebSocketMiddleware(
    site,
    {
        "/echo": Route(EchoWebSocket, subprotocols=["chat.v1"], compression=True),
        "/silent": Route(EchoWebSocket, ping_interval=None),
        "/pinging": Route(EchoWebSocket, ping_interval=0.25),
        "/leaving": Route(EchoWebSocket, idle_timeout=0.5),
    },
)
