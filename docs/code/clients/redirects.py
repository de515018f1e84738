from __future__ import annotations

from ws4py_middleware.client import WebSocketBaseClient

client = WebSocketBaseClient("wss://example.com/chat", headers={"Cookie": "session=1"}, max_redirects=5)
