from __future__ import annotations

from simple_websocket import Client, ConnectionClosed

ws = Client.connect("ws://localhost:9000/echo")
try:
    ws.send("hello")
    print(ws.receive(timeout=5))
    ws.close()
except ConnectionClosed as end:
    print(end.reason)
