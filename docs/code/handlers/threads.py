from __future__ import annotations

from ws4py_middleware.manager import WebSocketManager

WebSocketManager.max_threads = 64
