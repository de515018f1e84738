from __future__ import annotations

from ws4py_middleware.client import WebSocketBaseClient

client = WebSocketBaseClient("wss://example.com/chat", proxy="http://ada:secret@proxy.example:3128")
direct = WebSocketBaseClient("wss://example.com/chat", proxy=None)
