from __future__ import annotations

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def opened(self) -> None:
        self.join("chat")

    def received_message(self, message: Message) -> None:
        self.hub.publish("chat", message)


app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat": Chat})
