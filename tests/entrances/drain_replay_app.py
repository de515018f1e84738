"""A room with a history on a Redis, and those who come back to it."""

from __future__ import annotations

import os

from tests.entrances.drain_app import asgi_pages, pages
from ws4py_middleware import WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.hub import Hub, set_hub

set_hub(Hub(os.environ["REPLAY_REDIS_URL"], history=100_000))


class Listener(WebSocket):
    def opened(self) -> None:
        self.join("news")


_routes = {"/news": Listener}

app = WebSocketMiddleware(pages, _routes, subprotocols=["ws4py.replay.v1"])
asgi_app = WebSocketASGI(asgi_pages, _routes, subprotocols=["ws4py.replay.v1"])
