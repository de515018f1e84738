"""The conversation on CherryPy's own server."""

from __future__ import annotations

from typing import Any

import cherrypy

from tests.interop.handlers import PATHS
from ws4py_middleware.server.cherrypyserver import WebSocketTool

cherrypy.tools.websocket = WebSocketTool()


class Root:
    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    def default(self, *path: str) -> str:
        return "hello"


def build_config() -> dict[str, dict[str, Any]]:
    config = {}
    for path, (handler, options) in PATHS.items():
        settings = {"on": True, "handler_cls": handler, **options}
        config[path] = {f"tools.websocket.{name}": value for name, value in settings.items()}
    return config


app = cherrypy.Application(Root(), config=build_config())
