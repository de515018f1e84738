from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from flask import Flask, abort, request, session

from ws4py_middleware import Route, WebSocket, WebSocketMiddleware, upgrade
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "for your own machine only")


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for the decorator of your login, such as Flask-Login's."""

    @functools.wraps(view)
    def decorated(**params: str) -> Any:
        if "name" not in session:
            abort(401, "Say your name first.")
        return view(**params)

    return decorated


@app.post("/login")
def login() -> str:
    session["name"] = request.form["name"]
    return "welcome"


class Chat(WebSocket):
    def opened(self) -> None:
        self.room, self.name = self.params["room"], self.params["name"]
        self.join(self.room, {"name": self.name})
        self.send(f"Welcome, {self.name}!")

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.name}: {message}")


# [upgrade]
@app.get("/chat/<room>")
@login_required
def chat(room: str) -> Any:
    if room == "board" and session["name"] != "Ada":
        abort(403, "You are not on the board.")
    return upgrade(Route(Chat, max_message_size=16 * 1024), room=room, name=session["name"])


# [/upgrade]


# [publish]
@app.post("/rooms/<room>")
@login_required
def announce(room: str) -> dict[str, Any]:
    get_hub().publish(room, request.form["text"])
    return {"here": [member.info["name"] for member in get_hub().members(room)]}


# [/publish]


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, idle_timeout=3600)
