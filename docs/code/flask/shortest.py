from __future__ import annotations

from flask import Flask

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message

app = Flask(__name__)  # the app you have


class Echo(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(message)


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/echo": Echo})  # the line that you add
