"""ws4py on CherryPy: one manager thread for all connections."""

from __future__ import annotations

import sys
from typing import Any

import cherrypy
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.websocket import EchoWebSocket, WebSocket

from benchmarks.apps.cherrypy_site import Root, serve
from benchmarks.apps.ws4py_json import Json


class Broadcast(WebSocket):  # type: ignore[misc]
    """Sends what one member says to all members."""

    def received_message(self, message: Any) -> None:
        """Tell everybody."""
        cherrypy.engine.publish("websocket-broadcast", message.data, message.is_binary)


if __name__ == "__main__":
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    serve(Root(), int(sys.argv[1]), {"echo": EchoWebSocket, "broadcast": Broadcast, "json": Json}, {})
