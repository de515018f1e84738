from __future__ import annotations

from flask import Flask

from ws4py_middleware import Policy, Rate, Route, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(message)


class Upload(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(f"{len(message.data)} bytes")


class Feed(WebSocket):
    policy = Policy(max_message_size=125)  # who listens has not much to say

    def opened(self) -> None:
        self.join("feed")


app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(
    app.wsgi_app,
    {
        "/chat": Chat,
        "/upload": Route(Upload, max_message_size=8 * 2**20, message_rate=None),
        "/feed": Feed,
    },
    max_message_size=16 * 2**10,
    message_rate=Rate(10, burst=30),
    idle_timeout=30 * 60,
)
