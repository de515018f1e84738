"""A site behind a proxy: ``app`` behind nginx, HAProxy or Apache, ``behind_stunnel`` behind stunnel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from ws4py_middleware import EchoWebSocket, Route, WebSocket, WebSocketMiddleware

site = Flask(__name__)


@site.route("/")
def index() -> str:
    return f"{request.remote_addr} came by {request.scheme} to {request.host}"


class Visitor(WebSocket):
    """Say the same of who has connected."""

    def opened(self) -> None:
        names = {"address": "REMOTE_ADDR", "scheme": "wsgi.url_scheme", "host": "HTTP_HOST"}
        self.send(json.dumps({name: self.environ.get(key) for name, key in names.items()}))


routes: dict[str, Any] = {
    "/echo": EchoWebSocket,
    "/visitor": Visitor,
    "/compressed": Route(EchoWebSocket, compression=True),
}

# nginx, HAProxy and Apache write the visitor's address and scheme into headers. ProxyFix is around all else,
# so that handlers and views find both where they look for them.
app = ProxyFix(WebSocketMiddleware(site, routes, trusted_proxies=1), x_for=1, x_proto=1)

# stunnel writes no headers: those that there are, are the visitor's own, and nobody may believe them.
sockets = WebSocketMiddleware(site, routes)


def behind_stunnel(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.url_scheme"] = "https"  # who comes through stunnel has come by https
    body: Iterable[bytes] = sockets(environ, start_response)
    return body
