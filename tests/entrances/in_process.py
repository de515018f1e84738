"""A site behind the middleware, asked without a server."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from tests.entrances.wire import HANDSHAKE

with warnings.catch_warnings():
    # WebOb imports cgi, which Python 3.11 and 3.12 warn of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from webtest import TestApp

#: The request of the wire, as a server hands it on.
ENVIRON = {
    "SERVER_PROTOCOL": "HTTP/1.1",
    **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HANDSHAKE.items()},
}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing here"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"home"]


def ask(app: Any, path: str = "/ws", *, method: str = "GET", **changes: str | None) -> Any:
    """Send an opening handshake through webtest, which also checks that we keep to WSGI."""
    environ = {**ENVIRON, **changes}
    without = [key for key, value in environ.items() if value is None]

    def outermost(environ: Any, start_response: Any) -> Any:
        for key in without:
            environ.pop(key, None)
        return app(environ, start_response)

    environ = {key: value for key, value in environ.items() if value is not None}
    return TestApp(outermost).request(path, method=method, environ=environ, expect_errors=True)


def call(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Call an application as a server does that knows nothing but PEP 3333."""
    started: list[Any] = []
    body = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        pieces = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return (*started[-1], pieces)


class Recorded:
    """An iterable that knows whether it was closed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed += 1
