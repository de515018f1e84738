"""An application with a manager already when it is imported, and so before the server forks its workers."""

from __future__ import annotations

from tests.matrix.wsgi_app import app
from ws4py_middleware.process import get_manager

__all__ = ["app"]

manager = get_manager()
