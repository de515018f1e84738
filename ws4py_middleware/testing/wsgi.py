"""
A WSGI application in memory: the server is a function call.

The hand-over is met as under every other server, by an adapter: the environ says that it is the test's, and
what is taken over is the other end of a connection in memory.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from ..core.handshake import Request
from ..handover.adapter import Adapter, Environ, Located, StartResponse
from ..handover.servers import register
from ..opening import MANAGER
from .clocks import Clock
from .responses import Response
from .stepping import SteppedManager
from .wires import MemoryWire, Sink

__all__ = ["WSGIHost", "build_environ"]

#: In the environ of a test's request: the connection's end that may be taken over.
TRANSPORT = "ws4py_middleware.transport"


class _Memory(Adapter):
    """The test's client."""

    name = "the test client"
    brings_manager = True

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        return TRANSPORT in environ

    def locate(self, environ: Environ, start_response: StartResponse | None) -> Located:
        return Located(environ[TRANSPORT], lambda: b"")

    def take(self, sock: Any) -> tuple[Any, Any]:
        return sock, Sink()


register(_Memory())


class WSGIHost:
    """
    A WSGI application, and the manager of its WebSockets.

    Args:
        app: The application.
        clock: What passes its time.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.manager = SteppedManager(clock)
        clock.attach(self.manager)

    def open(self, request: Request, extras: Mapping[str, Any]) -> MemoryWire | Response:
        """Bring an opening handshake; see :class:`~.hosts.Host`."""
        wire = MemoryWire(self.clock.ring)
        environ = build_environ(request, b"", extras)
        environ[MANAGER] = self.manager
        environ[TRANSPORT] = wire.transport
        response = call(self.app, environ)
        if response.status != 101:
            return response
        if not wire.is_answered:
            raise RuntimeError(
                "the application has answered 101, and nobody has taken the connection over: "
                "is it wrapped in WebSocketMiddleware?"
            )
        return wire

    def ask(self, request: Request, body: bytes, extras: Mapping[str, Any]) -> Response:
        """Bring any other request; see :class:`~.hosts.Host`."""
        return call(self.app, build_environ(request, body, extras))

    def shutdown(self) -> None:
        """Let the process end; see :class:`~.hosts.Host`."""
        self.manager.shutdown()

    def close(self) -> None:
        """Drop what is still open."""
        self.manager.stop()
        self.clock.detach(self.manager)


def build_environ(request: Request, body: bytes, extras: Mapping[str, Any]) -> dict[str, Any]:
    """
    Make the environ of a request, as a server does.

    >>> environ = build_environ(Request("GET", "/a%20b?c=d", "HTTP/1.1", [("Host", "testserver")]), b"", {})
    >>> environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_HOST"]
    ('/a b', 'c=d', 'testserver')
    """
    path, _, query = request.target.partition("?")
    host = request.get("Host") or "testserver"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": host.partition(":")[0],
        "SERVER_PORT": host.partition(":")[2] or ("443" if request.secure else "80"),
        "SERVER_PROTOCOL": request.http_version,
        "SERVER_SOFTWARE": "ws4py_middleware.testing",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if request.secure else "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    return {**environ, **extras}


def call(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Response:
    """
    Call a WSGI application.

    Raises:
        RuntimeError: It has not called ``start_response``.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []
    pieces: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if started and exc_info is None:
            raise AssertionError("start_response() was called twice")
        started[:] = [(status, headers)]
        return pieces.append

    body = app(environ, start_response)
    try:
        pieces.extend(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    if not started:
        raise RuntimeError("the application has returned without calling start_response()")
    status, headers = started[0]
    return Response(int(status[:3]), headers, b"".join(pieces))
