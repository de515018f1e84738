"""A Flask site whose views return upgrades; ``app`` is wrapped, ``bare`` is not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, abort, redirect, request, session

from ws4py_middleware import EchoWebSocket, Policy, Route, WebSocket, WebSocketMiddleware, upgrade


class Who(WebSocket):
    """Tells the client what it knows of it."""

    def opened(self) -> None:
        environ = self.environ
        self.send(f"{dict(self.params)} {environ['HTTP_UPGRADE']} {environ.get('HTTP_X_A', '')}")


def count(ws: Any, room: str, start: int) -> None:
    """A function handler."""
    for number, message in enumerate(ws, start):
        ws.send(f"{room} {number} {message}")


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def wrapper(**params: Any) -> Any:
        if "user" not in session:
            return redirect("/login")
        return view(**params)

    return wrapper


def make() -> Flask:
    flask = Flask(__name__)
    flask.secret_key = "tests"

    @flask.get("/")
    def home() -> str:
        return "home"

    @flask.get("/login")
    def login() -> str:
        session["user"] = "ada"
        return "welcome"

    @flask.get("/chat/<room>")
    @login_required
    def chat(room: str) -> Any:
        session["visits"] = session.get("visits", 0) + 1
        return upgrade(Who, room=room, user=session["user"])

    @flask.get("/who")
    def who() -> Any:
        return upgrade(Who)

    @flask.get("/count/<room>")
    def counting(room: str) -> Any:
        return upgrade(count, room=room, start=7)

    @flask.get("/small")
    def small() -> Any:
        return upgrade(Route(EchoWebSocket, max_message_size=4))

    @flask.get("/own-authorize")
    def own_authorize() -> Any:
        return upgrade(Route(EchoWebSocket, authorize=lambda environ: (402, "pay")))

    @flask.route("/marked", websocket=True)
    def marked() -> Any:
        return upgrade(Who, marked=True)

    @flask.get("/abort/<int:status>")
    def refuse(status: int) -> Any:
        abort(status)

    @flask.get("/replaced")
    def replaced() -> Any:
        return upgrade(Who)

    @flask.get("/forgotten")
    def forgotten() -> str:
        upgrade(Who)
        return "a page"

    @flask.get("/wrong")
    def wrong() -> Any:
        return upgrade(count, root="x")

    @flask.get("/broken")
    def broken() -> Any:
        raise ZeroDivisionError

    @flask.after_request
    def hook(response: Response) -> Response:
        response.headers["X-Hook"] = "1"
        if request.path == "/replaced":
            return Response("the hook says no", 403)
        return response

    return flask


class Strict(Who):
    policy = Policy(origins=["https://own.example"])


bare = make()
app = make()
app.wsgi_app = WebSocketMiddleware(  # type: ignore[method-assign]
    app.wsgi_app, {"/strict": Strict}, origins=["https://app.example"], subprotocols=["chat"]
)
