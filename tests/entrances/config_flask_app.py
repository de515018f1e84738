"""A Flask application factory whose routes are in its configuration; handlers use a database."""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Flask, current_app, g, request, session

from ws4py_middleware import WebSocket, upgrade
from ws4py_middleware.config.flask import WebSockets
from ws4py_middleware.messaging import Message

sockets = WebSockets(max_fragments=7)

#: The connections that are open in this process.
opened: set[sqlite3.Connection] = set()


def get_db() -> sqlite3.Connection:
    if "db" not in g:
        g.db = sqlite3.connect(":memory:", check_same_thread=False)
        opened.add(g.db)
    found: sqlite3.Connection = g.db
    return found


def answer(message: object) -> str:
    """Ask the database, and say how many connections to it are open."""
    fresh = "old" if "db" in g else "fresh"
    (text,) = get_db().execute("select upper(?)", (f"{message}",)).fetchone()
    return f"{current_app.name} {fresh} {text} {len(opened)}"


class Chat(WebSocket):
    def opened(self) -> None:
        self.send(answer(f"{self.params['room']} opened"))

    def received_message(self, message: Message) -> None:
        self.send(answer(message))


def chat(ws: Any, room: str) -> None:
    ws.send(answer(f"{room} opened"))
    for message in ws:
        ws.send(answer(message))


def own(ws: Any) -> None:
    """Wait inside a context of one's own."""
    with current_app.app_context():
        for message in ws:
            ws.send(answer(message))


def is_user(environ: dict[str, Any], **params: Any) -> Any:
    return session.get("user") == params["room"] or (403, f"{request.path} is not yours")


def make() -> Flask:
    app = Flask("demo")
    app.secret_key = "tests"
    module = __name__
    app.config["WEBSOCKETS"] = {
        "defaults": {"ping_interval": "off"},
        "/chat/<room>": {"handler": f"{module}:Chat", "max_message_size": "1k"},
        "/function/<room>": chat,
        "/own": f"{module}:own",
        "/private/<room>": {"handler": Chat, "authorize": f"{module}:is_user"},
    }

    @app.get("/")
    def home() -> str:
        return f"{len(opened)}"

    @app.get("/login/<user>")
    def login(user: str) -> str:
        session["user"] = user
        return "welcome"

    @app.get("/view")
    def view() -> Any:
        return upgrade(Chat, room="view")

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        db = g.pop("db", None)
        if db is not None:
            opened.discard(db)
            db.close()

    sockets.init_app(app)
    return app


app = make()
