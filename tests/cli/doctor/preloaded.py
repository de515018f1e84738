"""An application that starts its manager too early: when it is imported."""

from __future__ import annotations

from tests.cli.doctor.apps import ROUTES, site
from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.manager import WebSocketManager

manager = WebSocketManager()
manager.daemon = True
manager.start()
app = WebSocketMiddleware(site, ROUTES, manager=manager)
