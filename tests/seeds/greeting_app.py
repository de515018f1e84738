"""What the documents' clients of a manager connect to: a server that greets, and closes when it is told."""

from __future__ import annotations

from typing import Any

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.process import get_manager


class Greeting(WebSocket):
    def opened(self) -> None:
        self.send("hello from the server")


def site(environ: Any, start_response: Any) -> list[bytes]:
    manager = get_manager()
    body = str(len(manager)).encode()
    if environ["PATH_INFO"] == "/close":
        manager.close_all(1000, "that was all")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = WebSocketMiddleware(site, {"/ws": Greeting})
