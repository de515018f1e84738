from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from ws4py_middleware import EchoWebSocket, WebSocketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TOKENS = {"token-of-ann": "ann", "token-of-bob": "bob"}  # your sessions


def who_is_it(environ: WSGIEnvironment, **params: str) -> bool:
    environ["chat.user"] = TOKENS.get(environ.get("HTTP_X_TOKEN", ""))
    return environ["chat.user"] is not None


app = Flask(__name__)
app.wsgi_app = WebSocketMiddleware(
    app.wsgi_app,
    {"/chat": EchoWebSocket},
    authorize=who_is_it,
    connection_key=lambda environ: environ["chat.user"],
    max_connections_per_key=3,
    trusted_proxies=1,  # there is one proxy in front, and nobody gets past it
    max_connections_per_address=100,
)
