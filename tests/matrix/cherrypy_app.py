"""The CherryPy application of the matrix: the same as the WSGI one, on any server that has CherryPy."""

from __future__ import annotations

from typing import Any

import cherrypy

from tests.matrix.handlers import OPTIONS, ROUTES
from ws4py_middleware.server.cherrypyserver import WebSocketTool

cherrypy.tools.websocket = WebSocketTool()


class Root:
    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    def index(self) -> str:
        return "hello"

    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    def echo(self) -> None:
        assert cherrypy.request.ws_handler is not None

    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    def leave(self) -> None:
        assert cherrypy.request.ws_handler is not None


def build_config() -> dict[str, dict[str, Any]]:
    options = {f"tools.websocket.{name}": value for name, value in OPTIONS.items()}
    return {
        path: {"tools.websocket.on": True, "tools.websocket.handler_cls": handler, **options}
        for path, handler in ROUTES.items()
    }


app = cherrypy.Application(Root(), config=build_config())
