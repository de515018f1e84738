"""The WSGI application of the matrix: a site, and the echo handler as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.matrix.handlers import OPTIONS, ROUTES
from ws4py_middleware import WebSocketMiddleware


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


app = WebSocketMiddleware(site, ROUTES, **OPTIONS)
