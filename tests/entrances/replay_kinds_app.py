"""The rooms of :mod:`.rooms_app` with a history, for clients of ``ws4py.replay.v1``, in three shapes."""

from __future__ import annotations

from typing import Any

from ws4py_middleware import AsyncWebSocket, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.hub import Hub, set_hub
from ws4py_middleware.hub.replay import SUBPROTOCOL

set_hub(Hub(history=100))

# Its callbacks are those of the hub that is set here.
from tests.entrances.rooms_app import (  # noqa: E402
    AsyncVisitor,
    Visitor,
    asgi,
    make_cherrypy,
    visit,
    visit_async,
    wsgi,
)


class Lobby(Visitor):
    def opened(self) -> None:
        self.join("lobby")


class AsyncLobby(AsyncVisitor):
    async def opened(self) -> None:
        self.join("lobby")


def lobby(ws: WebSocket) -> None:
    ws.join("lobby")
    visit(ws)


async def lobby_async(ws: AsyncWebSocket) -> None:
    ws.join("lobby")
    await visit_async(ws)


app = WebSocketMiddleware(wsgi, {"/ws": Lobby, "/function": lobby}, subprotocols=[SUBPROTOCOL])
asgi_app = WebSocketASGI(asgi, {"/ws": AsyncLobby, "/function": lobby_async}, subprotocols=[SUBPROTOCOL])


def __getattr__(name: str) -> Any:
    if name != "cherrypy_app":  # only where it is asked for: the others need no CherryPy
        raise AttributeError(name)
    found = make_cherrypy()
    for path, handler in (("/ws", Lobby), ("/function", lobby)):
        found.merge(
            {path: {"tools.websocket.handler_cls": handler, "tools.websocket.protocols": [SUBPROTOCOL]}}
        )
    return found
