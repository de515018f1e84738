from __future__ import annotations

from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.exc import HandshakeError

try:
    WebSocketBaseClient("ws://localhost:9000/no-such-path").connect()
except HandshakeError as error:
    print(error.status, error.body.decode())
except OSError as error:
    print(error)
