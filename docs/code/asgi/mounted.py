from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount

from ws4py_middleware import EchoWebSocket, WebSocketASGI

app = Starlette(routes=[Mount("/live", app=WebSocketASGI(routes={"/echo": EchoWebSocket}))])
