from __future__ import annotations

from flask import Flask, request

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import Member, get_hub
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def opened(self) -> None:
        self.room = str(self.params["room"])
        self.me = self.join(self.room, {"name": self.environ["QUERY_STRING"] or "Guest"})

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.me.info['name']}: {message}", exclude=self)


@get_hub().on_joined
@get_hub().on_left
def tell_people(room: str, member: Member) -> None:
    names = sorted(member.info["name"] for member in get_hub().members(room))
    get_hub().publish(room, "here now: " + ", ".join(names))


app = Flask(__name__)


@app.post("/announce/<room>")
def announce(room: str) -> str:
    return str(get_hub().publish(room, request.get_data(as_text=True)))


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/chat/<room>": Chat})
