from __future__ import annotations

from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.exc import ConnectionClosed

ws = WebSocketClient("ws://localhost:9000/echo")
ws.connect()
try:
    ws.send("hello")
    print(ws.receive(timeout=5))
    ws.close()
except ConnectionClosed as end:
    print(end.code)
