"""This library: a WSGI application with an HTTP answer and WebSocket routes, for any WSGI server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmarks.apps.common import MAX_SIZE, answer_json, deflate, spin_when_asked
from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ws4py_middleware.messaging import Message


class Broadcast(WebSocket):
    """Sends what one member says to all members."""

    def opened(self) -> None:
        """Become a member."""
        self.join("all")

    def received_message(self, message: Message) -> None:
        """Tell everybody."""
        self.hub.publish("all", message)


class Json(WebSocket):
    """Reads each message, and writes it again."""

    def received_message(self, message: Message) -> None:
        """Answer."""
        self.send(answer_json(message.data))


class Sleeper(WebSocket):
    """Sends each message back, after a second."""

    def received_message(self, message: Message) -> None:
        """Block, as a query to a database does."""
        time.sleep(1)
        self.send(message)


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer plain HTTP beside the WebSockets."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]


app = WebSocketMiddleware(
    hello,
    {"/echo": EchoWebSocket, "/broadcast": Broadcast, "/json": Json, "/sleep": Sleeper},
    max_message_size=MAX_SIZE,
    compression=deflate(),
)
spin_when_asked()
