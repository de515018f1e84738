from __future__ import annotations

from ws4py_middleware.client import WebSocketBaseClient

with WebSocketBaseClient("ws://localhost:9000/echo", protocols=["chat"]) as client:
    client.send("hello")
    print(client.receive(timeout=5))
