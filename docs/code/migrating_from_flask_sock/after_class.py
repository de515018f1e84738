from __future__ import annotations

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message

app = Flask(__name__)


class Echo(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(f"{self.params['name']}: {message}")


app.wsgi_app = WebSocketMiddleware(
    app.wsgi_app, {"/echo/<name>": Echo}, ping_interval=25, max_message_size=65536
)
