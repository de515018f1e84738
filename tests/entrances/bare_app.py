"""Sites without a framework, and one with another WebSocket library beside ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ws4py_middleware import EchoWebSocket, WebSocketMiddleware, upgrade


def naked(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/echo":
        result: Iterable[bytes] = upgrade(EchoWebSocket)(environ, start_response)
        return result
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"home"]


def lazy(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same as a generator: nothing happens before the server asks for the first piece."""
    yield from naked(environ, start_response)


wrapped = WebSocketMiddleware(lazy)


def shared(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Somebody else's WebSockets, who takes no request for one that does not say so."""
    if environ["PATH_INFO"] != "/theirs":
        start_response("404 Not Found" if environ["PATH_INFO"] != "/" else "200 OK", [])
        return [b""]
    if "HTTP_UPGRADE" not in environ:
        start_response("400 Bad Request", [])
        return [b""]
    return serve_theirs(environ)


def serve_theirs(environ: Any) -> Iterable[bytes]:
    from simple_websocket import ConnectionClosed, Server

    server = Server(environ)
    try:
        while True:
            server.send(f"theirs: {server.receive()}")
    except ConnectionClosed:
        return []


mixed = WebSocketMiddleware(shared, {"/ours": EchoWebSocket})
