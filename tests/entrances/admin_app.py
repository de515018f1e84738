"""WSGI, ASGI and CherryPy applications whose WebSockets can be asked for on a Unix socket."""

from __future__ import annotations

import os
from typing import Any

from tests.entrances.figures_app import Echo, site
from ws4py_middleware import Route, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.admin import expose
from ws4py_middleware.hub import Hub, set_hub

expose()
if "ROOMS_REDIS_URL" in os.environ:
    set_hub(Hub(os.environ["ROOMS_REDIS_URL"]))


class Member(WebSocket):
    def opened(self) -> None:
        self.join(self.params["room"])
        self.send(str(os.getpid()))


ROUTES: dict[str, Any] = {"/ws": Echo, "/chat/<room>": Route(Member, subprotocols=["chat"])}

wsgi = WebSocketMiddleware(site, ROUTES)
asgi = WebSocketASGI(None, ROUTES)
