from __future__ import annotations

from flask import Flask, Response, request

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message

app = Flask(__name__)


@app.get("/chat/<room>")
def page(room: str) -> Response:
    return app.send_static_file("chat.html")


@app.post("/announce/<room>")
def announce(room: str) -> str:
    get_hub().publish(room, request.form["text"])
    return f"told {len(get_hub().members(room))}\n"


class Chat(WebSocket):
    def opened(self) -> None:
        self.room = self.params["room"]
        self.join(self.room)

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, message)


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat/<room>": Chat})
