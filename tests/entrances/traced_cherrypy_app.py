"""A CherryPy application whose WebSockets are traced."""

from __future__ import annotations

import cherrypy

from tests.entrances.traced_app import Traced, tracer
from ws4py_middleware.server.cherrypyserver import WebSocketTool

cherrypy.tools.websocket = WebSocketTool()


class Root:
    @cherrypy.expose
    def index(self) -> bytes:
        return b"hello"

    @cherrypy.expose
    @cherrypy.tools.websocket(handler_cls=Traced)
    def ws(self, name: str, **query: str) -> None:
        with tracer.start_as_current_span("authorize"):
            if name == "nobody":
                raise cherrypy.HTTPError(402, "no")


app = cherrypy.Application(Root(), "", {"/": {}})
