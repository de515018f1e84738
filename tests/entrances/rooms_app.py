"""
One application in three shapes, for WSGI, CherryPy and ASGI: WebSockets that come and go as they are told.

A WebSocket takes JSON: ``join`` with ``room`` and ``info``, ``leave``, ``publish`` with ``room``, ``text``
and ``others``, ``members``; and answers what came of it. ``GET /rooms`` tells who is where, and
``GET /say?room&text`` publishes. The room ``watch`` is told who has come to and gone from any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from ws4py_middleware import AsyncWebSocket, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.hub import Member, get_hub
from ws4py_middleware.messaging import Message


@get_hub().on_joined
def joined(room: str, member: Member) -> None:
    watch("joined", room, member)


@get_hub().on_left
def left(room: str, member: Member) -> None:
    watch("left", room, member)


def watch(what: str, room: str, member: Member) -> None:
    if room != "watch":
        get_hub().publish("watch", json.dumps([what, room, member.info, len(get_hub().members(room))]))


@get_hub().on_left
def fail(room: str, member: Member) -> None:
    if room == "fail":
        raise ZeroDivisionError("asked for by the test")


def obey(websocket: WebSocket, message: Message) -> str:
    """Do what is asked for; return the answer."""
    answer: Any = None
    request: Any = json.loads(message.data)
    match request:
        case {"join": str(room)}:
            answer = websocket.join(room, request.get("info")).id
        case {"leave": str(room)}:
            websocket.leave(room)
        case {"publish": str(room), "text": str(text)}:
            exclude = websocket if "others" in request else None
            answer = websocket.hub.publish(room, text, exclude=exclude)
        case {"burst": str(room), "count": int(count), "name": str(name)}:
            answer = sum(websocket.hub.publish(room, f"{name} {number}") for number in range(count))
        case {"flood": str(room), "count": int(count)}:
            answer = sum(websocket.hub.publish(room, b"%08d" % number * 8192) for number in range(count))
        case {"members": str(room)}:
            answer = [member.info for member in websocket.hub.members(room)]
    return json.dumps({"answer": answer})


class Visitor(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(obey(self, message))


class AsyncVisitor(AsyncWebSocket):
    async def received_message(self, message: Message) -> None:
        await self.send(obey(self, message))


def visit(ws: WebSocket) -> None:
    for message in ws:
        ws.send(obey(ws, message))


async def visit_async(ws: AsyncWebSocket) -> None:
    async for message in ws:
        await ws.send(obey(ws, message))


class Member1000(WebSocket):
    """One of many: it is in the room at once."""

    def opened(self) -> None:
        self.join("many", {"name": self.environ["QUERY_STRING"]})
        self.send("in")


def serve(path: str, query: str) -> bytes:
    """Answer a request of plain HTTP."""
    hub = get_hub()
    if path == "/rooms":
        rooms = {room: [member.info for member in hub.members(room)] for room in hub.rooms()}
        return json.dumps(rooms).encode()
    if path == "/say":
        fields = parse_qs(query)
        return str(hub.publish(fields["room"][0], fields["text"][0])).encode()
    return b"hello"


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    body = serve(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    # In a thread, as a view that is no coroutine.
    body = await asyncio.to_thread(serve, scope["path"], scope["query_string"].decode())
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


app = WebSocketMiddleware(wsgi, {"/ws": Visitor, "/function": visit, "/many": Member1000})
asgi_app = WebSocketASGI(asgi, {"/ws": AsyncVisitor, "/function": visit_async})


def make_cherrypy() -> Any:
    import cherrypy

    from ws4py_middleware.server.cherrypyserver import WebSocketTool

    cherrypy.tools.websocket = WebSocketTool()

    class Root:
        def index(self) -> bytes:
            return b"hello"

        def rooms(self) -> bytes:
            return serve("/rooms", "")

        def say(self, **fields: str) -> bytes:
            return serve("/say", cherrypy.request.query_string)

        def ws(self) -> None:
            """Let everybody in."""

        def function(self) -> None:
            """Let everybody in."""

    for page in (Root.index, Root.rooms, Root.say, Root.ws, Root.function):
        cherrypy.expose(page)
    config = {
        "/ws": {"tools.websocket.on": True, "tools.websocket.handler_cls": Visitor},
        "/function": {"tools.websocket.on": True, "tools.websocket.handler_cls": visit},
    }
    return cherrypy.Application(Root(), "", config)


def __getattr__(name: str) -> Any:
    if name == "cherrypy_app":  # only where it is asked for: the others need no CherryPy
        return make_cherrypy()
    raise AttributeError(name)
