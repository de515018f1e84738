"""The same limited routes for each kind of entrance: ``wsgi``, ``asgi``, ``own`` and ``cherry``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ws4py_middleware import Rate, Route, WebSocket, WebSocketASGI, WebSocketMiddleware, upgrade
from ws4py_middleware.messaging import Message
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication


class Echo(WebSocket):
    renewals = 0

    def received_message(self, message: Message) -> None:
        self.send(message)


class Renewed(Echo):
    """May go on twice, and says so."""

    def reauthorize(self) -> bool:
        self.renewals += 1
        if self.renewals < 3:
            self.send(f"renewed {self.renewals}")
        return self.renewals < 3


def get_user(environ: dict[str, Any]) -> str | None:
    return environ["QUERY_STRING"] or None


#: Path → handler and settings.
LIMITS: dict[str, tuple[type[WebSocket], dict[str, Any]]] = {
    "/address": (Echo, {"max_connections_per_address": 2, "trusted_proxies": 1}),
    "/untrusting": (Echo, {"max_connections_per_address": 2}),
    "/key": (Echo, {"max_connections_per_key": 1, "connection_key": get_user}),
    "/rate": (Echo, {"handshake_rate": Rate(3, per=3600), "trusted_proxies": 1}),
    "/messages": (Echo, {"message_rate": Rate(5, per=3600)}),
    "/bytes": (Echo, {"byte_rate": Rate(10_000, per=3600)}),
    "/lifetime": (Renewed, {"max_lifetime": 0.1}),
    "/ended": (Echo, {"max_lifetime": 0.1}),
}

ROUTES = {path: Route(handler, **options) for path, (handler, options) in LIMITS.items()}


def site(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/view":
        response: Iterable[bytes] = upgrade(ROUTES["/key"])(environ, start_response)
        return response
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


wsgi = WebSocketMiddleware(site, ROUTES)
asgi = WebSocketASGI(None, ROUTES)

_OWN = {
    path: WebSocketWSGIApplication(handler_cls=handler, **options)
    for path, (handler, options) in LIMITS.items()
}


def own(environ: Any, start_response: Any) -> Iterable[bytes]:
    found: Any = _OWN.get(environ["PATH_INFO"], site)
    body: Iterable[bytes] = found(environ, start_response)
    return body


def __getattr__(name: str) -> Any:
    # CherryPy brings signals and threads, so only where it is asked for.
    if name != "cherry":
        raise AttributeError(name)
    import cherrypy

    from ws4py_middleware.server.cherrypyserver import WebSocketTool

    cherrypy.tools.websocket = WebSocketTool()

    class Root:
        @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
        def default(self, *path: str, **query: str) -> bytes:
            return b"hello"

    config = {
        path: {
            "tools.websocket.on": True,
            "tools.websocket.handler_cls": handler,
            **{f"tools.websocket.{name}": value for name, value in options.items()},
        }
        for path, (handler, options) in LIMITS.items()
    }
    return cherrypy.Application(Root(), "", config)
