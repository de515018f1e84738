"""A manager of an asyncio loop for a test: the loop runs in a thread of its own, the test beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from tests.drivers.peer import Peer, wait_until
from tests.drivers.threads import ThreadHost
from ws4py_middleware.tasks import TaskManager
from ws4py_middleware.websocket import WebSocket

_T = TypeVar("_T")


class TaskHost(ThreadHost):
    """What the tests of all managers ask for; the manager is met in its loop's thread."""

    manager: TaskManager  # type: ignore[assignment]

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.problems: list[dict[str, Any]] = []
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.problems.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.manager = self.run(self._make())

    async def _make(self) -> TaskManager:
        return TaskManager()

    def run(self, coroutine: Coroutine[Any, Any, _T], timeout: float = 10) -> _T:
        """Run a coroutine in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function: Callable[..., _T], *args: Any, **options: Any) -> _T:
        """Call a function in the loop's thread."""

        async def call() -> _T:
            return function(*args, **options)

        return self.run(call())

    def connect(self, websocket: WebSocket, pair: Any = None, **options: Any) -> Peer:
        return self.call(super().connect, websocket, pair, **options)

    def close(self) -> None:
        super().close()
        wait_until(lambda: not self.manager._seats)
        self.manager.stop()  # now that nobody runs in them, the threads, too
        assert not self.manager._timers
        assert not self.manager._spawned
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
        assert self.problems == []


@pytest.fixture
def host() -> Iterator[TaskHost]:
    """A manager in a running loop; afterwards all its threads are gone, and all it spawned."""
    before = set(threading.enumerate())
    host = TaskHost()
    yield host
    host.close()
    wait_until(lambda: set(threading.enumerate()) <= before)
