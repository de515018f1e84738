"""The same application for servers that leave SIGTERM alone: it lets SIGTERM end the process in order."""

from __future__ import annotations

import signal
import sys

from tests.matrix.wsgi_app import app

__all__ = ["app"]

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
