"""Handlers that block until somebody asks for ``/release`` by HTTP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any

from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message

released = threading.Event()


class Blocking(WebSocket):
    """Says that it blocks, and does so until all are released."""

    def received_message(self, message: Message) -> None:
        self.send("blocking")
        released.wait(60)
        self.send(message)


class BlockingOpened(WebSocket):
    def opened(self) -> None:
        self.send("blocking")
        released.wait(60)
        self.send("opened")


class Exiting(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send("blocking")
        released.wait(60)
        raise SystemExit(3)


def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/release":
        released.set()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"home"]


logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
app = WebSocketMiddleware(
    site,
    {"/echo": EchoWebSocket, "/block": Blocking, "/opened": BlockingOpened, "/exit": Exiting},
    drain_grace=0.5,
)
