from __future__ import annotations

from typing import Any

from flask import Flask, request, session

from ws4py_middleware import Route, WebSocket, WebSocketMiddleware, upgrade
from ws4py_middleware.messaging import Message

app = Flask(__name__)
app.secret_key = "for tests only"


@app.post("/login")
def login() -> str:
    session["name"] = request.form["name"]
    return "welcome"


class Chat(WebSocket):
    def opened(self) -> None:
        self.join(self.params["room"])

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.params["room"], f"{self.params['name']}: {message}")


@app.get("/chat/<room>")
def chat(room: str) -> Any:
    if "name" not in session:
        return "Log in first.", 403
    return upgrade(Route(Chat, idle_timeout=60, write_limit=65536), room=room, name=session["name"])


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, subprotocols=["chat.v1"])
