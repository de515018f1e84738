"""An application of many small WebSockets, each for one thing that a test asks about; WSGI and ASGI."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable
from typing import Any

from ws4py_middleware import AsyncWebSocket, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.messaging import Message

POLICY: dict[str, Any] = {
    "ping_interval": 20,
    "ping_timeout": 20,
    "idle_timeout": 100,
    "write_limit": 128 * 1024,
    "subprotocols": ["chat.v2", "chat.v1"],
}


class Echo(WebSocket):
    """Says everything again; remembers how it ended."""

    ends: list[int]

    def received_message(self, message: Message) -> None:
        self.send(message)

    def closed(self, code: int, reason: str | None = None) -> None:
        ENDS.append(code)


#: How each :class:`Echo` ended.
ENDS: list[int] = []


class AsyncEcho(AsyncWebSocket):
    async def received_message(self, message: Message) -> None:
        await self.send(message)

    async def closed(self, code: int, reason: str | None = None) -> None:
        ENDS.append(code)


class Late(AsyncWebSocket):
    """Takes a minute for each answer."""

    async def received_message(self, message: Message) -> None:
        await asyncio.sleep(60)
        await self.send(f"late {message}")


class Facts(WebSocket):
    """Says what it knows of its request."""

    def opened(self) -> None:
        keys = (
            "HTTP_COOKIE",
            "HTTP_X_COLOUR",
            "HTTP_ORIGIN",
            "REMOTE_ADDR",
            "REMOTE_USER",
            "wsgi.url_scheme",
        )
        facts = {key: self.environ.get(key) for key in keys}
        self.send(json.dumps({**facts, **self.params, "peer": self.peer_address}))


class Closing(WebSocket):
    """Closes at once."""

    def opened(self) -> None:
        self.send("before")
        self.close(1008, "policy")


class Broken(WebSocket):
    def received_message(self, message: Message) -> None:
        raise ValueError("boom")


def shout(ws: WebSocket, word: str = "") -> None:
    """Be a function, in a thread."""
    for message in ws:
        ws.send(f"{message}{word}!")


def work(ws: WebSocket) -> None:
    """Be a function that is at work for a moment, and lets others speak for it."""
    timer = threading.Timer(0.02, lambda: ws.send("from a timer"))
    timer.start()
    for message in ws:
        ws.send(message)
    timer.join()


def wait(ws: WebSocket) -> None:
    """Ask who says nothing for half a minute; leave when that was three times."""
    for _ in range(3):
        try:
            for message in iter(lambda: ws.receive(timeout=30), None):
                ws.send(f"{message}!")
            return
        except TimeoutError:
            ws.send("are you there?")


async def await_message(ws: AsyncWebSocket) -> None:
    """Do the same, as a task."""
    for _ in range(3):
        try:
            while (message := await ws.receive(timeout=30)) is not None:
                await ws.send(f"{message}!")
            return
        except TimeoutError:
            await ws.send("are you there?")


async def whisper(ws: AsyncWebSocket, word: str = "") -> None:
    async for message in ws:
        await ws.send(f"{message}{word}".lower())


def page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer HTTP."""
    if environ["PATH_INFO"] == "/login":
        start_response("303 See Other", [("Location", "/"), ("Set-Cookie", "user=ann; Path=/")])
        return [b""]
    if environ["PATH_INFO"] == "/logout":
        start_response("200 OK", [("Set-Cookie", "user=; Max-Age=0")])
        return [b"bye"]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    facts = {"method": environ["REQUEST_METHOD"], "body": body.decode(), "type": environ.get("CONTENT_TYPE")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({**facts, "cookie": environ.get("HTTP_COOKIE")}).encode()]


def members_only(environ: dict[str, Any], **params: Any) -> Any:
    return None if "user=ann" in environ.get("HTTP_COOKIE", "") else (401, "members only")


LIFE: list[str] = []


async def asgi_page(scope: Any, receive: Any, send: Any) -> None:
    """Answer HTTP and lifespan, and refuse other WebSockets."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            LIFE.append(kind)
            scope["state"]["since"] = "startup"
            await send({"type": f"{kind}.complete"})
        return
    if scope["type"] == "websocket":
        if scope["path"] == "/crash":
            raise ValueError("boom")
        if scope["path"] == "/nothing":
            return
        if scope["path"] == "/forbidden":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.http.response.start", "status": 410, "headers": [(b"x-a", b"b")]})
        await send({"type": "websocket.http.response.body", "body": b"go", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"ne"})
        return
    message = await receive()
    facts = {"method": scope["method"], "body": message["body"].decode(), "state": scope["state"]}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/json")]})
    await send({"type": "http.response.body", "body": json.dumps(facts).encode()})


ROUTES: dict[str, Any] = {
    "/echo": Echo,
    "/facts/<room>": Facts,
    "/closing": Closing,
    "/broken": Broken,
    "/shout": shout,
    "/work": work,
    "/wait": wait,
}

wsgi = WebSocketMiddleware(page, ROUTES, **POLICY)
members = WebSocketMiddleware(page, {"/facts/<room>": Facts}, authorize=members_only)
asgi = WebSocketASGI(
    asgi_page,
    {**ROUTES, "/late": Late, "/whisper": whisper, "/await": await_message, "/async-echo": AsyncEcho},
    **POLICY,
)
