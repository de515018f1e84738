from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, session

from ws4py_middleware import WebSocket
from ws4py_middleware.config.flask import WebSockets

sockets = WebSockets()


def create_app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "for your own machine only"
    app.config["GREETING"] = "Good morning!"
    app.config["WEBSOCKETS"] = {"/greetings": {"handler": Greetings, "authorize": is_logged_in}}
    sockets.init_app(app)

    @app.post("/login")
    def login() -> str:
        session["name"] = "Ada"
        return "welcome"

    return app


def is_logged_in(environ: Mapping[str, Any]) -> bool:
    return "name" in session


class Greetings(WebSocket):
    def opened(self) -> None:
        self.send(current_app.config["GREETING"])
