"""
The same under ASGI, where the server speaks the protocol and has the limits.

    uvicorn examples.echo.autobahn_asgi:app
"""

from __future__ import annotations

from ws4py_middleware import EchoWebSocket, WebSocketASGI

from .autobahn_app import LIMITS

app = WebSocketASGI(None, {"/": EchoWebSocket}, **LIMITS)
