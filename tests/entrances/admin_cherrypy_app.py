"""A CherryPy application whose WebSockets can be asked for on a Unix socket."""

from __future__ import annotations

import os

import cherrypy

from tests.entrances.admin_app import Member
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

cherrypy.tools.websocket = WebSocketTool()
if "PLUGIN" in os.environ:
    WebSocketPlugin(cherrypy.engine).subscribe()


class Root:
    @cherrypy.expose
    def index(self) -> bytes:
        return b"hello"

    @cherrypy.expose
    @cherrypy.tools.websocket(handler_cls=Member, protocols=["chat"])
    def chat(self, room: str) -> None: ...


app = cherrypy.Application(Root(), "", {"/": {}})
