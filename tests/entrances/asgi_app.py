"""An ASGI application behind WebSocketASGI: what it does is told by ``/events`` and ``/state``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, StreamingResponse
from werkzeug.exceptions import abort
from werkzeug.wrappers import Response

from ws4py_middleware import Route, WebSocket
from ws4py_middleware.asgi import WebSocketASGI
from ws4py_middleware.async_websocket import WebSocket as AsyncWebSocket
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message

#: What has happened, oldest first; also in the log, which outlives the process.
events: list[str] = []


def note(event: str) -> None:
    events.append(event)
    sys.stderr.write(f"EVENT {event}\n")


# --- handlers ----------------------------------------------------------------------------------------


class Echo(WebSocket):
    def opened(self) -> None:
        note(f"opened {self.name}")

    def received_message(self, message: Message) -> None:
        self.send(message)

    def closed(self, code: int, reason: str | None = None) -> None:
        note(f"closed {self.name} {code}")

    @property
    def name(self) -> str:
        """What the query calls this connection."""
        return str(self.environ["QUERY_STRING"])


class AsyncEcho(AsyncWebSocket):
    async def opened(self) -> None:
        note(f"opened {self.environ['QUERY_STRING']}")

    async def received_message(self, message: Message) -> None:
        await self.send(message)

    async def closed(self, code: int, reason: str | None = None) -> None:
        await asyncio.sleep(0)
        note(f"closed {self.environ['QUERY_STRING']} {code}")


class Hang(AsyncEcho):
    """Wait in a hook for what never comes."""

    async def received_message(self, message: Message) -> None:
        note(f"hangs {self.environ['QUERY_STRING']}")
        await asyncio.Event().wait()


class Block(Echo):
    """The same in a thread."""

    def received_message(self, message: Message) -> None:
        note(f"hangs {self.name}")
        threading.Event().wait()


def function(ws: Any) -> None:
    for message in ws:
        ws.send(message)


async def async_function(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


class Facts(Echo):
    """Say what a handler can know."""

    def received_message(self, message: Message) -> None:
        environ = {
            key: value
            for key, value in self.environ.items()
            if key.startswith(("HTTP_", "wsgi.url", "PATH", "SCRIPT", "QUERY", "REMOTE", "SERVER"))
        }
        scope = self.environ["asgi.scope"]
        facts = {
            "params": dict(self.params),
            "environ": environ,
            "path": scope["path"],
            "subprotocol": self.subprotocol,
            "peer": self.peer_address,
            "in main thread": threading.current_thread() is threading.main_thread(),
        }
        self.send(json.dumps(facts))


class Command(Echo):
    """Do what is asked for."""

    def received_message(self, message: Message) -> None:
        command, _, argument = str(message).partition(" ")
        getattr(self, f"do_{command}")(argument)

    def do_sleep(self, seconds: str) -> None:
        time.sleep(float(seconds))
        self.send(f"slept {seconds}")

    def do_burst(self, count: str) -> None:
        for _ in range(int(count)):
            self.send(bytes(50_000), binary=True)

    def do_thread(self, count: str) -> None:
        def send() -> None:
            for number in range(int(count)):
                self.send(f"{number}")

        threading.Thread(target=send).start()

    def do_task(self, count: str) -> None:
        async def send() -> None:
            for number in range(int(count)):
                self.send(f"{number}")

        asyncio.run(send())

    def do_fragments(self, count: str) -> None:
        self.send(f"{number} " for number in range(int(count)))

    def do_close(self, code: str) -> None:
        self.close(int(code), "as you wish")

    def do_raise(self, text: str) -> None:
        raise RuntimeError(text)


class Flood(Echo):
    """Send what nobody reads, and note how much of it was taken."""

    policy = WebSocket.policy.replace(
        write_limit=512 * 1024, write_timeout=1.0, queue_policy="disconnect", max_message_size=None
    )

    def received_message(self, message: Message) -> None:
        threading.Thread(target=self._send).start()

    def _send(self) -> None:
        piece = bytes(64 * 1024)
        count = 0
        try:
            while count < 1024:
                self.send(piece, binary=True)
                count += 1
        except ConnectionClosed:
            pass
        note(f"flooded {self.name} {count}")


class Flow(Flood):
    """The same, with a send() that waits."""

    policy = Flood.policy.replace(queue_policy="block")


# --- who may connect -----------------------------------------------------------------------------------


def authorize(scope: Any, kind: str) -> Any:
    assert threading.current_thread() is not threading.main_thread()
    if kind == "text":
        return 401, "who are you?"
    if kind == "starlette":
        return PlainTextResponse("by starlette", 402, {"X-By": "starlette"})
    if kind == "werkzeug":
        return Response("by werkzeug", 402, {"X-By": "werkzeug"})
    if kind == "abort":
        abort(410)
    if kind == "http-exception":
        raise HTTPException(402, "by http-exception", {"X-By": "http-exception"})
    return kind == "yes"


async def refuse_slowly(scope: Any) -> Any:
    async def pieces() -> Any:
        note("refuses")
        try:
            for _ in range(30):
                yield b"x" * 1000
                await asyncio.sleep(0.02)
        finally:
            note("refused")

    return StreamingResponse(pieces(), 402)


async def authorize_async(scope: Any) -> bool:
    await asyncio.sleep(0)
    return b"let=me" in scope["query_string"]


# --- everything else -------------------------------------------------------------------------------------


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Be the application that is wrapped."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            note(kind)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "inner"})
        await receive()
    else:
        body = {"/events": lambda: json.dumps(events), "/state": _state}.get(scope["path"], lambda: "hello")()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})


def _state() -> str:
    names = [thread.name for thread in threading.enumerate()]
    return json.dumps(
        {
            "tasks": len(asyncio.all_tasks()),
            "pool": sum(name.startswith("ws4py_middleware") for name in names),
            "others": sum(not name.startswith("ws4py_middleware") for name in names),
            "live": 0 if app._used is None else len(app._used),
        }
    )


app = WebSocketASGI(
    inner,
    {
        "/echo": Echo,
        "/async": AsyncEcho,
        "/hang": Hang,
        "/block": Block,
        "/function": function,
        "/async-function": async_function,
        "/facts/<room>": Route(Facts, subprotocols=["b", "a"]),
        "/command": Command,
        "/small": Route(Echo, max_message_size=1000),
        "/flood": Flood,
        "/flow": Flow,
        "/may/<kind>": Route(Echo, authorize=authorize),
        "/may-slowly": Route(Echo, authorize=refuse_slowly),
        "/may-async": Route(Echo, authorize=authorize_async),
    },
    max_message_size=8 * 2**20,
    signals=os.environ.get("SIGNALS") != "no",
)

#: The same with nothing behind it.
alone = WebSocketASGI(routes={"/echo": Echo})
