"""An application whose rooms have a history in a Redis: who connects is in the room that the path names."""

from __future__ import annotations

import os

from tests.entrances.drain_app import asgi_pages, pages
from ws4py_middleware import WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.hub.replay import SUBPROTOCOL
from ws4py_middleware.messaging import Message

set_hub(Hub(os.environ["ROOMS_REDIS_URL"], history=100_000))


class Listener(WebSocket):
    """Joins a room, and publishes there what it is told."""

    def opened(self) -> None:
        self.join(self.params["room"])

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.params["room"], message)


_routes = {"/rooms/<room>": Listener}

app = WebSocketMiddleware(pages, _routes, subprotocols=[SUBPROTOCOL])
asgi_app = WebSocketASGI(asgi_pages, _routes, subprotocols=[SUBPROTOCOL])
