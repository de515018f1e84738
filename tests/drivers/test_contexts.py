"""Contexts: one around each callback, and none while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from tests.drivers.peer import BOUND, connect, wait_until
from ws4py_middleware.contexts import around, in_context
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.functions import handler_class
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message
from ws4py_middleware.routing import Route, Router
from ws4py_middleware.websocket import EchoWebSocket, WebSocket


class Contexts:
    """Makes contexts, and knows which is entered where."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.made = 0
        self.current: ContextVar[int | None] = ContextVar("current", default=None)

    @contextlib.contextmanager
    def make(self) -> Iterator[None]:
        self.made += 1
        token = self.current.set(self.made)
        self.seen.append(f"+{self.made}")
        try:
            yield
        finally:
            assert self.current.get() is not None
            self.seen.append(f"-{self.current.get()}")
            self.current.reset(token)

    @contextlib.asynccontextmanager
    async def make_async(self) -> AsyncIterator[None]:
        with self.make():
            yield

    def note(self, what: object) -> None:
        self.seen.append(f"{what}@{self.current.get()}")


@pytest.fixture
def contexts() -> Contexts:
    return Contexts()


@pytest.fixture
def manager() -> Iterator[WebSocketManager]:
    manager = WebSocketManager()
    manager.start()
    yield manager
    manager.stop()


def make_class(contexts: Contexts, base: type[WebSocket] = WebSocket) -> type[WebSocket]:
    class Chat(base):  # type: ignore[misc, valid-type]
        """Talk."""

        policy = Policy(ping_interval=None)

        def opened(self) -> None:
            contexts.note("opened")

        def received_message(self, message: Message) -> None:
            contexts.note(message)
            self.send(f"{message}")

        def ponged(self, pong: Message) -> None:
            contexts.note("ponged")
            raise ZeroDivisionError

        def closed(self, code: int, reason: str | None = None) -> None:
            contexts.note(f"closed {code}")

    return Chat


def test_each_callback_of_a_class_has_a_context_of_its_own(
    contexts: Contexts, manager: WebSocketManager, caplog: pytest.LogCaptureFixture
) -> None:
    cls = in_context(make_class(contexts), contexts.make)
    ws = cls()
    with connect(manager, ws) as peer:
        for text in ("one", "two"):
            peer.send(text)
            assert peer.read() == text
        wait_until(lambda: contexts.seen[-1] == "-3")  # and none is entered while nothing happens
        peer.pong()  # its hook raises
        peer.answer()
    wait_until(lambda: ws not in manager)
    assert "ZeroDivisionError" in caplog.text
    assert " ".join(contexts.seen) == (
        "+1 opened@1 -1 +2 one@2 -2 +3 two@3 -3 +4 ponged@4 -4 +5 closed 1011@5 -5"
    )


def test_class_in_a_context_looks_as_it_did(contexts: Contexts) -> None:
    chat = make_class(contexts)
    cls = in_context(chat, contexts.make)
    assert issubclass(cls, chat)
    assert (cls.__name__, cls.__qualname__, cls.__module__, cls.__doc__) == (
        "Chat",
        chat.__qualname__,
        __name__,
        "Talk.",
    )
    assert (cls.policy, cls.received_message.__name__) == (chat.policy, "received_message")
    assert in_context(chat, contexts.make) is cls
    # What the package brings is not wrapped.
    assert cls.unhandled_error is WebSocket.unhandled_error
    assert in_context(EchoWebSocket, contexts.make).received_message is EchoWebSocket.received_message


def run_function(
    manager: WebSocketManager, function: Callable[..., Any], texts: list[str], answers: list[str]
) -> None:
    ws = handler_class(function)()
    ws.params = {"room": "lobby"}
    with connect(manager, ws, ping_interval=None) as peer:
        for text in texts:
            peer.send(text)
        assert [peer.read() for _ in answers] == answers
        peer.finish()
    wait_until(lambda: ws not in manager)


def test_function_has_another_context_after_each_receive(
    contexts: Contexts, manager: WebSocketManager
) -> None:
    done = threading.Event()

    def chat(ws: Any, room: str) -> None:
        """Talk."""
        contexts.note(room)
        try:
            for message in ws:
                contexts.note(message)
                ws.send(f"{message}")
            contexts.note("end")
        finally:
            done.set()

    function = in_context(chat, contexts.make)
    assert (function.__name__, inspect.signature(function)) == ("chat", inspect.signature(chat))
    run_function(manager, function, ["one", "two"], ["one", "two"])
    assert done.wait(BOUND)
    wait_until(lambda: contexts.seen[-1] == "-4")
    assert " ".join(contexts.seen) == "+1 lobby@1 -1 +2 one@2 -2 +3 two@3 -3 +4 end@4 -4"


def test_function_that_waits_is_in_no_context(contexts: Contexts, manager: WebSocketManager) -> None:
    def chat(ws: Any, room: str) -> None:
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.01)
        contexts.note("timeout")
        ws.send("ready")
        ws.receive()

    ws = handler_class(in_context(chat, contexts.make))()
    ws.params = {"room": "lobby"}
    with connect(manager, ws, ping_interval=None) as peer:
        assert peer.read() == "ready"
        wait_until(lambda: contexts.seen[-1] == "-2")
        assert " ".join(contexts.seen) == "+1 -1 +2 timeout@2 -2"
        peer.finish()


def test_other_threads_of_a_function_leave_its_context_alone(
    contexts: Contexts, manager: WebSocketManager
) -> None:
    def chat(ws: Any, room: str) -> None:
        received: list[Any] = []
        thread = threading.Thread(target=lambda: received.append(ws.receive()))
        thread.start()
        thread.join()
        contexts.note(received[0])
        ws.send("done")

    ws = handler_class(in_context(chat, contexts.make))()
    ws.params = {"room": "lobby"}
    with connect(manager, ws, ping_interval=None) as peer:
        peer.send("one")
        assert peer.read() == "done"
        assert peer.answer()[0] == 1000
    assert " ".join(contexts.seen) == "+1 one@1 -1"


def test_context_that_may_not_be_left_is_held(contexts: Contexts, manager: WebSocketManager) -> None:
    class Held:
        may_leave = False

        def __enter__(self) -> None:
            contexts.seen.append("+")

        def __exit__(self, *error: object) -> None:
            contexts.seen.append("-")

    def chat(ws: Any, room: str) -> None:
        ws.send(f"{ws.receive()}")

    ws = handler_class(in_context(chat, Held))()
    ws.params = {"room": "lobby"}
    with connect(manager, ws, ping_interval=None) as peer:
        peer.send("one")
        assert peer.read() == "one"
        peer.answer()
    assert contexts.seen == ["+", "-"]


@pytest.mark.parametrize("kind", ["make", "make_async"])
def test_async_hooks_and_functions_have_contexts_of_either_kind(contexts: Contexts, kind: str) -> None:
    class Chat:
        async def opened(self) -> None:
            contexts.note("opened")
            await asyncio.sleep(0)

        async def receive(self) -> str:
            contexts.note("waits")
            return "one"

    async def chat(ws: Any, room: str) -> None:
        contexts.note(room)
        contexts.note(await ws.receive())
        ws.receive = None

    async def run() -> None:
        ws = in_context(Chat, getattr(contexts, kind))()
        await ws.opened()
        function = in_context(chat, getattr(contexts, kind))
        assert inspect.iscoroutinefunction(function)
        await function(ws, room="lobby")

    asyncio.run(run())
    assert " ".join(contexts.seen) == "+1 opened@1 -1 +2 lobby@2 -2 waits@None +3 one@3 -3"


def test_object_that_is_called_with_await_is_asynchronous(contexts: Contexts) -> None:
    class Authorize:
        async def __call__(self, environ: object) -> bool:
            contexts.note("asked")
            return True

    assert asyncio.run(around(Authorize(), contexts.make)({}))
    assert " ".join(contexts.seen) == "+1 asked@1 -1"


def test_context_that_is_none_is_refused(contexts: Contexts) -> None:
    class Chat(WebSocket):
        def opened(self) -> None: ...

    with pytest.raises(TypeError, match="context is 5; it is a function that makes one"):
        Route(Chat, context=5)  # type: ignore[arg-type]
    factories: list[Any] = [list, contexts.make_async]
    for factory in factories:
        with pytest.raises(TypeError, match=r"it returns a context manager, as app\.app_context does"):
            in_context(Chat, factory)().opened()


def test_routes_have_the_context_of_the_router_or_their_own(contexts: Contexts) -> None:
    cls = make_class(contexts)
    router = Router(
        {"/a": cls, "/b": Route(cls, context=contexts.make_async)}, Policy(), context=contexts.make
    )
    handlers = {path: router.match(path) for path in ("/a", "/b")}
    assert [match and match.handler for match in handlers.values()] == [
        in_context(cls, contexts.make),
        in_context(cls, contexts.make_async),
    ]
    assert "context=Contexts.make_async" in repr(Route(cls, context=contexts.make_async))
