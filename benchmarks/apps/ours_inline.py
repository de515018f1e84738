"""The same, where a handler that blocks stops all others: what the hand-on is measured against."""

from __future__ import annotations

from benchmarks.apps.ours import app
from ws4py_middleware.manager import WebSocketManager

__all__ = ["app"]

WebSocketManager.max_threads = 1
