from __future__ import annotations

from flask import Flask

from ws4py_middleware.config.flask import WebSockets

sockets = WebSockets()


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["WEBSOCKETS"] = {
        "/chat/<room>": {"handler": "chat.handlers:Chat", "authorize": "chat.auth:is_logged_in"},
    }
    sockets.init_app(app)
    return app
