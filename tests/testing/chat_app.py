"""The Flask chat of the examples, with little patience: on a server its tests wait in real time."""

from __future__ import annotations

from examples.flask_chat import app as chat
from ws4py_middleware import WebSocketMiddleware

#: Seconds.
PING_INTERVAL = 0.2
PING_TIMEOUT = 0.2
IDLE_TIMEOUT = 0.8

app = WebSocketMiddleware(
    chat.app,
    {"/chat/<room>": chat.Chat},
    subprotocols=["ws4py.replay.v1"],
    ping_interval=PING_INTERVAL,
    ping_timeout=PING_TIMEOUT,
    idle_timeout=IDLE_TIMEOUT,
)

#: The same, and nobody is asked whether he is there: only what he does not take tells.
patient = WebSocketMiddleware(
    chat.app, {"/chat/<room>": chat.Chat}, ping_interval=None, write_timeout=0.3, write_limit=64 * 1024
)
