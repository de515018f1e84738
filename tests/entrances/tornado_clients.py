"""Clients for tornado that write down what they are told, and loops for them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from tornado import ioloop

from tests.entrances.scripted import no_leaks
from tests.servers import wait_for
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from ws4py_middleware.messaging import Message

#: Longer than anything takes; a test that waits so long has failed.
BOUND = 20.0


class Noting(TornadoWebSocketClient):
    """Write down which hooks are called, and in which thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[Any] = []
        self.threads: set[threading.Thread] = set()
        self.ended = threading.Event()

    def opened(self) -> None:
        self.note("opened")

    def received_message(self, message: Message) -> None:
        self.note(message.data)

    def closed(self, code: int, reason: str | None = None) -> None:
        self.note((code, reason))
        self.ended.set()

    def note(self, what: Any) -> None:
        self.seen.append(what)
        self.threads.add(threading.current_thread())


class Asking(Noting):
    """Say something, and leave with the answer."""

    def opened(self) -> None:
        super().opened()
        self.send("hello")

    def received_message(self, message: Message) -> None:
        super().received_message(message)
        self.close(4001, "bye")


class Stopping(Asking):
    """As the documents do it: with the connection, the loop ends."""

    def closed(self, code: int, reason: str | None = None) -> None:
        super().closed(code, reason)
        ioloop.IOLoop.current().stop()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = set(threading.enumerate())
    with no_leaks():
        yield
    wait_for(lambda: set(threading.enumerate()) <= before)


def run(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a loop that is asked for its complaints; there may be none."""
    complaints = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await asyncio.wait_for(function(), BOUND)
        gc.collect()  # a future of which nobody has taken the exception says so only then
        await asyncio.sleep(0)

    asyncio.run(main())
    assert complaints == []


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), BOUND)


def in_thread(function: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread
