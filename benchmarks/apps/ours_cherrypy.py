"""This library on CherryPy: ws4py's tool and plugin, on one manager thread for all connections."""

from __future__ import annotations

import sys
from typing import Any

import cherrypy

from benchmarks.apps.cherrypy_site import Root, serve
from benchmarks.apps.common import deflate
from benchmarks.apps.ours import Broadcast, Json
from ws4py_middleware import EchoWebSocket
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

if __name__ == "__main__":
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    settings: dict[str, Any] = {"tools.websocket.max_message_size": "16 MiB"}
    if deflate():
        settings["tools.websocket.extensions"] = ["permessage-deflate"]
    serve(Root(), int(sys.argv[1]), {"echo": EchoWebSocket, "broadcast": Broadcast, "json": Json}, settings)
