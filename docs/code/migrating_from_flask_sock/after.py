from __future__ import annotations

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware

app = Flask(__name__)


def echo(ws: WebSocket, name: str) -> None:
    for message in ws:
        ws.send(f"{name}: {message}")


app.wsgi_app = WebSocketMiddleware(
    app.wsgi_app, {"/echo/<name>": echo}, ping_interval=25, max_message_size=65536
)
