from __future__ import annotations

from flask import Flask, Response

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message

app = Flask(__name__)


@app.get("/chat")
def page() -> Response:
    return app.send_static_file("chat.html")


class Chat(WebSocket):
    def opened(self) -> None:
        self.join("everybody")

    def received_message(self, message: Message) -> None:
        self.hub.publish("everybody", message)


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat": Chat})
