"""The conversation on an ASGI server."""

from __future__ import annotations

from tests.interop.handlers import ROUTES
from tests.matrix.asgi_app import site
from ws4py_middleware.asgi import WebSocketASGI

app = WebSocketASGI(site, ROUTES)
