"""An application that starts its manager too early: when it is made."""

from __future__ import annotations

from tests.cli.doctor.apps import ROUTES, site
from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.manager import WebSocketManager


def make() -> WebSocketMiddleware:
    manager = WebSocketManager()
    manager.daemon = True
    manager.start()
    return WebSocketMiddleware(site, ROUTES, manager=manager)
