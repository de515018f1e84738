"""A server without a server: its connections are socket pairs, so that a hand-over can be seen in process."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

from ws4py_middleware.handover import register
from ws4py_middleware.handover.servers import Adapter, Located

_KEY = "tests.connection"


class _Pipes(Adapter):
    """Finds the socket that the test has put into the environ."""

    name = "the test's server"

    def match(self, environ: Any, start_response: Any) -> bool:
        return _KEY in environ

    def locate(self, environ: Any, start_response: Any) -> Located:
        return Located(environ[_KEY], lambda: b"")

    @contextlib.contextmanager
    def plugged(self, app: Any) -> Iterator[Plugged]:
        """Let each request to an application come on one end of a socket pair."""
        server, client = socket.socketpair()
        with server, client:
            client.settimeout(5)

            def outermost(environ: Any, start_response: Any) -> Any:
                environ[_KEY] = server
                return app(environ, start_response)

            yield Plugged(outermost, server, client)


class Plugged:
    """An application, and both ends of its connection."""

    def __init__(self, app: Callable[[Any, Any], Any], server: socket.socket, client: socket.socket) -> None:
        self.app = app
        self.server = server
        self.client = client

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)

    def read_head(self) -> bytes:
        """Read, at the client's end, as far as the empty line."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            piece = self.client.recv(1)
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data


PIPES = _Pipes()
register(PIPES)
