"""
One room for everybody, over all workers, and four ways to publish to it.

A member that says ``NAME COUNT`` publishes so many messages; so do ``GET /say?NAME+COUNT`` and, without any
WebSocket, ``python -m tests.entrances.crowd_app NAME COUNT``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.messaging import Message

ROOM = "all"
hub = Hub(os.environ["ROOMS_REDIS_URL"])
set_hub(hub)


def publish(request: str) -> None:
    """Publish messages that are numbered."""
    name, _, count = request.partition(" ")
    for number in range(int(count)):
        hub.publish(ROOM, f"{name} {number}")


class Member(WebSocket):
    def opened(self) -> None:
        self.join(ROOM)

    def received_message(self, message: Message) -> None:
        publish(str(message))


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/say":
        publish(environ["QUERY_STRING"].replace("+", " "))
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


app = WebSocketMiddleware(wsgi, {"/member": Member})

if __name__ == "__main__":
    publish(" ".join(sys.argv[1:]))
