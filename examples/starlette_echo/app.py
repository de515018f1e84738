"""
An echo server in a Starlette application, with each kind of handler.

    uvicorn app:app
    hypercorn app:app
    granian --interface asgi app:app
    gunicorn -k asgi app:app
"""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ws4py_middleware import EchoWebSocket, WebSocketASGI


async def home(request: Request) -> PlainTextResponse:
    """Say where the echoes are."""
    return PlainTextResponse(f"Connect to {', '.join(ROUTES)} with a WebSocket.\n")


def function(ws: Any) -> None:
    """Echo in a thread of its own."""
    for message in ws:
        ws.send(message)


async def coroutine(ws: Any) -> None:
    """Echo in a task of its own."""
    async for message in ws:
        await ws.send(message)


ROUTES: dict[str, Any] = {"/echo": EchoWebSocket, "/function": function, "/coroutine": coroutine}

app = WebSocketASGI(Starlette(routes=[Route("/", home)]), ROUTES)
