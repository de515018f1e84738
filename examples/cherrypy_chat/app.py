"""
The chat of ws4py's documentation, on today's CherryPy.

    python app.py

Who wants to come in says a name, which CherryPy's session remembers. The page handler of ``/ws``
decides by that session who gets a WebSocket, and tells the new one its name. What anybody
says goes over CherryPy's bus to everybody.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cherrypy

from ws4py_middleware import WebSocket
from ws4py_middleware.messaging import Message, TextMessage
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

STATIC = Path(__file__).resolve().parent / "static"
LIMITS = {"name": 24, "text": 2000}

cherrypy.tools.websocket = WebSocketTool()


class Chat(WebSocket):
    """One browser; the page handler gives it its name."""

    name = "Somebody"

    def opened(self) -> None:
        """Come in."""
        tell("notice", text=f"{self.name} came in")

    def received_message(self, message: Message) -> None:
        """Say something to everybody."""
        text = str(message).strip() if message.is_text else ""
        if not text or len(text) > LIMITS["text"]:
            self.send(encode("error", text=f"A message is text of 1 to {LIMITS['text']} characters."))
        else:
            tell("said", name=self.name, text=text, at=time.time())

    def closed(self, code: int, reason: str | None = None) -> None:
        """Leave."""
        tell("notice", text=f"{self.name} left")


def tell(kind: str, **fields: object) -> None:
    """Send something to everybody, over the bus: any part of a CherryPy application can do this."""
    cherrypy.engine.publish("websocket-broadcast", TextMessage(encode(kind, **fields)))


def encode(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


class Root:
    """The pages, and the WebSocket."""

    @cherrypy.expose
    def index(self) -> Any:
        """Ask for a name, or show the chat."""
        page = "chat.html" if cherrypy.session.get("name") else "enter.html"
        cherrypy.response.headers["Cache-Control"] = "no-store"
        return cherrypy.lib.static.serve_file(str(STATIC / page))

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def enter(self, name: str = "") -> None:
        """Remember a name."""
        name = " ".join("".join(c if c.isprintable() else " " for c in name).split())[: LIMITS["name"]]
        if name:
            cherrypy.session["name"] = name
        raise cherrypy.HTTPRedirect("/")

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def leave(self) -> None:
        """Forget it."""
        cherrypy.session.pop("name", None)
        raise cherrypy.HTTPRedirect("/")

    @cherrypy.expose
    def ws(self) -> None:
        """Let those in who have said their names."""
        name = cherrypy.session.get("name")
        if not name:
            raise cherrypy.HTTPError(403, "Say your name first.")
        cherrypy.request.ws_handler.name = name


CONFIG: dict[str, dict[str, Any]] = {
    "/": {
        "tools.sessions.on": True,
        "tools.sessions.httponly": True,
        "tools.response_headers.on": True,
        "tools.response_headers.headers": [
            ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; object-src 'none'"),
        ],
    },
    "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": str(STATIC), "tools.sessions.on": False},
    "/ws": {
        "tools.websocket.on": True,
        "tools.websocket.handler_cls": Chat,
        "tools.websocket.max_message_size": 8 * LIMITS["text"],
    },
}


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A chat on CherryPy.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    cherrypy.config.update({"server.socket_host": options.host, "server.socket_port": options.port})
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.quickstart(Root(), "/", CONFIG)


if __name__ == "__main__":
    main()
