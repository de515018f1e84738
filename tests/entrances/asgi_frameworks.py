"""The same echo handler around, and inside, the applications of four frameworks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi import WebSocket as TheirWebSocket
from quart import Quart
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute

from ws4py_middleware import Route, WebSocket, WebSocketASGI
from ws4py_middleware.messaging import Message

lived: list[str] = []


class Echo(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(f"{self.params['room']}: {message} {self.environ['SCRIPT_NAME']}")


ROUTES = {"/ws/<room>": Echo}


@contextlib.asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    lived.append("began")
    yield


async def page(request: Any) -> PlainTextResponse:
    return PlainTextResponse(",".join(lived))


async def their_own(websocket: TheirWebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("theirs")
    await websocket.close()


_fastapi = FastAPI(lifespan=lifespan)
_fastapi.add_route("/", page)
_fastapi.add_api_websocket_route("/own", their_own)
fastapi = WebSocketASGI(_fastapi, ROUTES)

_page = StarletteRoute("/", page)
starlette = WebSocketASGI(Starlette(routes=[_page], lifespan=lifespan), ROUTES)
mounted = Starlette(routes=[_page, Mount("/sub", app=WebSocketASGI(routes=ROUTES))], lifespan=lifespan)
mounted_at_root = Starlette(routes=[_page, Mount("/", app=WebSocketASGI(routes=ROUTES))], lifespan=lifespan)

_quart = Quart(__name__)


@_quart.before_serving
async def begin() -> None:
    lived.append("began")


@_quart.get("/")
async def quart_page() -> str:
    return ",".join(lived)


quart = WebSocketASGI(_quart, ROUTES)


def __getattr__(name: str) -> Any:
    if name != "django":
        raise AttributeError(name)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.entrances.django_settings")
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse, StreamingHttpResponse

    async def pieces() -> AsyncIterator[bytes]:
        yield b"no "
        yield b"entry"

    def authorize(scope: Any, kind: str) -> Any:
        if kind == "plain":
            refusal = HttpResponse("no entry", status=402, headers={"X-By": "django"})
            refusal.set_cookie("asked", "yes")
            return refusal
        if kind == "streaming":
            return StreamingHttpResponse(iter([b"no ", b"entry"]), status=402)
        return StreamingHttpResponse(pieces(), status=402)

    refused = Route(Echo, authorize=authorize)
    return WebSocketASGI(get_asgi_application(), {**ROUTES, "/refused/<kind>": refused})
