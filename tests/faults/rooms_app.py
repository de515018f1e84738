"""
The application of the promises, its rooms shared by all workers through a Redis, and a look inside.

``/ws`` is told what to do in rooms (see :mod:`tests.entrances.rooms_app`), and ``/inside`` answers anything
with what its process knows of the Redis.
"""

from __future__ import annotations

import json
import os
from typing import Any

from tests.entrances.redis_rooms_app import Visitor, wsgi
from tests.promises.app import ROUTES
from ws4py_middleware import WebSocket, WebSocketMiddleware
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message

__all__ = ["app"]


class Inside(WebSocket):
    def received_message(self, message: Message) -> None:
        backplane: Any = get_hub()._backplane
        state = {"pid": os.getpid(), "is_connected": backplane.is_connected, **backplane.stats()}
        self.send(json.dumps(state))


app = WebSocketMiddleware(wsgi, {**ROUTES, "/ws": Visitor, "/inside": Inside})
