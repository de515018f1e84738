"""The ASGI application of the matrix: a site, and the same handlers as under WSGI."""

from __future__ import annotations

from typing import Any

from tests.matrix.handlers import OPTIONS, ROUTES
from ws4py_middleware.asgi import WebSocketASGI


async def site(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert scope["type"] == "http"
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"hello"})


app = WebSocketASGI(site, ROUTES, **OPTIONS)
