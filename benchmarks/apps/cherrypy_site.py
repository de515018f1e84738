"""A CherryPy site with a page for each kind of WebSocket, for this library and for ws4py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cherrypy

from benchmarks.apps.common import spin_when_asked

__all__ = ["Root", "serve"]


class Root:
    """Pages that say nothing: the tool answers where there are WebSockets."""

    @cherrypy.expose  # type: ignore[untyped-decorator,unused-ignore]
    def index(self) -> str:
        """Answer plain HTTP beside the WebSockets."""
        return "hello\n"

    @cherrypy.expose  # type: ignore[untyped-decorator,unused-ignore]
    def echo(self) -> None:
        """Open a WebSocket."""

    broadcast = json = echo


def serve(root: Root, port: int, handlers: Mapping[str, type], settings: Mapping[str, Any]) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended; every handler has the path of its name."""
    cherrypy.config.update(
        {
            "server.socket_host": "127.0.0.1",
            "server.socket_port": port,
            "server.socket_queue_size": 4096,
            "engine.autoreload.on": False,
            "log.screen": False,
        }
    )
    pages = {
        f"/{name}": {"tools.websocket.on": True, "tools.websocket.handler_cls": handler, **settings}
        for name, handler in handlers.items()
    }
    spin_when_asked()
    cherrypy.quickstart(root, "/", pages)
