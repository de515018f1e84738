"""The same behind CherryPy's tool; ``app`` is mounted, or served as the WSGI application that it is, too."""

from __future__ import annotations

import cherrypy

from ws4py_middleware import EchoWebSocket
from ws4py_middleware.server.cherrypyserver import WebSocketTool

from .autobahn_app import LIMITS

cherrypy.tools.websocket = WebSocketTool()


class Root:
    """The site."""

    @cherrypy.expose  # type: ignore[untyped-decorator, unused-ignore]
    def index(self) -> str:
        """Answer what is not a WebSocket."""
        return "Connect to / with a WebSocket.\n"


CONFIG = {
    "tools.websocket.on": True,
    "tools.websocket.handler_cls": EchoWebSocket,
    **{f"tools.websocket.{name}": value for name, value in LIMITS.items()},
}

app = cherrypy.Application(Root(), config={"/": CONFIG})
