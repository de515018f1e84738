"""A shop with a chat."""

from __future__ import annotations

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def opened(self) -> None:
        self.join(self.params["room"])

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.params["room"], message)


app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Welcome."


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat/<room>": Chat}, max_connections=500)
