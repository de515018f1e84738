"""Handlers, applications, servers and clients that do what they should not: nobody else pays for it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, StreamingResponse

from tests.entrances.asgi import APP, client, get_json, reset, wait_for_event
from tests.entrances.test_asgi_application import REFUSAL, Message, call, http, websocket
from tests.entrances.wire import build
from tests.servers import Server, start, wait_for
from ws4py_middleware import EchoWebSocket, WebSocketASGI
from ws4py_middleware.async_websocket import WebSocket as AsyncWebSocket
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.tasks import TaskManager

# --- hooks that do not return ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uvicorn-websockets-sansio", "hypercorn"])
@pytest.mark.parametrize("path", ["hang", "block"])
def test_sigterm_does_not_wait_for_a_hook_that_does_not_return(kind: str, path: str) -> None:
    with start(kind, APP) as server, client(server, f"/{path}?{path}", close_timeout=0.1) as websocket:
        websocket.send("x")
        wait_for_event(server, f"hangs {path}")
        began = time.monotonic()
        server.signal()
        server.process.wait(20)
        assert time.monotonic() - began < 8
        # One that blocks a thread cannot be told.
        assert server.log.count(f"EVENT closed {path}") == (path == "hang")


class Talk:
    """One connection of an application, with a server that the test plays."""

    def __init__(self, app: WebSocketASGI) -> None:
        self.sent: list[Message] = []
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(app(websocket(), self.incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def wait_sent(self, count: int) -> None:
        while len(self.sent) < count:
            await asyncio.sleep(0.001)

    def say(self) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": "x"})


class Hang(AsyncWebSocket):
    """Wait in a hook for what never comes."""

    async def received_message(self, message: object) -> None:
        await self.send("here")
        await asyncio.Event().wait()

    async def closed(self, code: int, reason: str | None = None) -> None:
        self.environ["asgi.scope"]["ends"].append(code)


def hanging(cancels: int) -> list[int]:
    """Cancel an application whose handler hangs so often, and return how its handler ended."""
    ends: list[int] = []

    async def main() -> None:
        app = WebSocketASGI(routes={"/echo": Hang}, signals=False)
        before = asyncio.all_tasks()

        async def with_ends(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "ends": ends}, receive, send)

        talk = Talk(with_ends)  # type: ignore[arg-type]
        talk.say()
        await talk.wait_sent(2)
        for _ in range(cancels):
            talk.task.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait([talk.task])
        manager = get_task_manager()
        while len(manager):
            await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 5))
    return ends


@pytest.mark.parametrize("cancels", [1, 2, 3])
def test_server_that_cancels_ends_a_hook_that_does_not_return(cancels: int) -> None:
    assert hanging(cancels) == [1001]


# --- how many threads ----------------------------------------------------------------------------------


def test_threads_are_as_many_as_the_application_says() -> None:
    async def main() -> int:
        talk = Talk(WebSocketASGI(routes={"/echo": EchoWebSocket}, max_threads=3, signals=False))
        await talk.wait_sent(1)
        talk.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await talk.task
        return get_task_manager().max_threads

    assert asyncio.run(main()) == 3


def test_threads_of_a_manager_are_its_own() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=r"it is that manager's: TaskManager\(max_threads"):
            WebSocketASGI(manager=TaskManager(), max_threads=3)

    asyncio.run(main())
    with pytest.raises(ValueError, match="max_threads is 0; it is 1 or more"):
        WebSocketASGI(max_threads=0)


# --- refusals --------------------------------------------------------------------------------------------

INJECTED = {"X-A": "b\r\nSet-Cookie: evil=1"}


@pytest.mark.parametrize(
    "make",
    [lambda: HTTPException(401, "no", INJECTED), lambda: PlainTextResponse("no", 401, INJECTED)],
    ids=["exception", "response"],
)
def test_refusal_with_a_line_break_in_a_header_is_not_sent(make: Callable[[], Any]) -> None:
    async def authorize(scope: Any) -> Any:
        refusal = make()
        if isinstance(refusal, Exception):
            raise refusal
        return refusal

    app = WebSocketASGI(routes={"/echo": EchoWebSocket}, authorize=authorize)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    with pytest.raises(ValueError, match="has a CR, LF or NUL"):
        asyncio.run(app(websocket(extensions=REFUSAL), receive, send))
    assert sent == []


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_refusal_without_an_end_ends_where_the_server_says_403(version: str) -> None:
    async def authorize(scope: Any) -> Any:
        return StreamingResponse(endless(), 402)

    app = WebSocketASGI(routes={"/echo": EchoWebSocket}, authorize=authorize)
    what = websocket(asgi={"version": "3.0", "spec_version": version})
    assert call(app, what, "websocket.connect") == [{"type": "websocket.close"}]


def test_application_as_a_refusal_is_told_that_there_is_no_body_and_when_the_client_leaves() -> None:
    heard = []

    async def refusal(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([await receive() for _ in range(3)])

    async def authorize(scope: Any) -> Any:
        return refusal

    app = WebSocketASGI(routes={"/echo": EchoWebSocket}, authorize=authorize)
    left = ["websocket.disconnect"] * 2
    assert call(app, websocket(extensions=REFUSAL), "websocket.connect", *left) == []
    assert [message["type"] for message in heard] == ["http.request", "http.disconnect", "http.disconnect"]


def test_refusal_that_fails_of_itself_is_an_error() -> None:
    async def refusal(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a fault of its own")

    async def authorize(scope: Any) -> Any:
        return refusal

    app = WebSocketASGI(routes={"/echo": EchoWebSocket}, authorize=authorize)
    with pytest.raises(LookupError):
        call(app, websocket(), "websocket.connect")


def test_response_to_a_request_is_sent_as_it_is() -> None:
    start, body = call(WebSocketASGI(), http("/"))
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")


@pytest.mark.parametrize("error", [OSError, RuntimeError])
@pytest.mark.parametrize("may", [True, False])
def test_client_that_leaves_before_it_is_answered_is_nobodys_fault(error: type[Exception], may: bool) -> None:
    """Granian and gunicorn raise a RuntimeError, uvicorn an OSError, some nothing."""

    async def authorize(scope: Any) -> bool:
        return may

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        if message["type"] != "websocket.http.response.start":
            raise error("it has left")

    app = WebSocketASGI(routes={"/echo": EchoWebSocket}, authorize=authorize)
    asyncio.run(app(websocket(extensions=REFUSAL), receive, send))


def has_refused(server: Server, count: int) -> bool:
    return server.log.count("EVENT refuses") == count


@pytest.mark.parametrize(
    "kind", ["uvicorn-websockets", "uvicorn-websockets-sansio", "uvicorn-wsproto", "hypercorn"]
)
def test_client_that_leaves_while_it_is_refused_is_not_in_the_log(kind: str) -> None:
    with start(kind, APP) as server:
        tasks = get_json(server, "/state")["tasks"]
        for leave in (reset, socket.socket.close):
            with contextlib.closing(server.connect()) as sock:
                begun = server.log.count("EVENT refuses")
                sock.sendall(build("/may-slowly"))
                wait_for(functools.partial(has_refused, server, begun + 1), 10, "its beginning")
                leave(sock)
        wait_for(lambda: server.log.count("EVENT refused") == 2, 10, "the end of both")
        wait_for(lambda: get_json(server, "/state")["tasks"] <= tasks, 10, "nothing left")
        assert "Traceback" not in server.log
