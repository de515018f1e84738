"""The conversation on a WSGI server."""

from __future__ import annotations

from tests.interop.handlers import ROUTES
from tests.matrix.wsgi_app import site
from ws4py_middleware import WebSocketMiddleware

app = WebSocketMiddleware(site, ROUTES)
