"""An application whose rooms have a history in a Redis: who connects is in the room that the path names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.messaging import Message

set_hub(Hub(os.environ["ROOMS_REDIS_URL"], history=10_000))


class Listener(WebSocket):
    """Joins a room, and publishes there what it is told."""

    policy = Policy(subprotocols=["ws4py.replay.v1"], drain_window=0.2)

    def opened(self) -> None:
        self.join(self.params["room"])

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.params["room"], message)


def ask(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here\n"]


app = WebSocketMiddleware(ask, {"/rooms/<room>": Listener})
