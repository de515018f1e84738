"""The client for gevent, in a hub in a thread of its own; nothing is patched."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import gevent
import gevent.event

from tests.clients.session import BOUND, Call, Kind
from ws4py_middleware.client.geventclient import WebSocketClient


class Hub:
    """A hub that runs what other threads hand over, each in a greenlet."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None] | None] = deque()
        self._watcher: Future[Any] = Future()
        self.thread = threading.Thread(target=self._run, name="clients' hub", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        hub = gevent.get_hub()
        has_calls = gevent.event.Event()
        watcher = hub.loop.async_()
        watcher.start(has_calls.set)
        self._watcher.set_result(watcher)
        try:
            while True:
                has_calls.wait()
                has_calls.clear()
                while self._calls:
                    if (run := self._calls.popleft()) is None:
                        return
                    gevent.spawn(run)
        finally:
            watcher.close()
            hub.destroy(destroy_loop=True)

    def _hand_over(self, run: Callable[[], None] | None) -> None:
        self._calls.append(run)
        self._watcher.result(BOUND).send()

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function in a greenlet, and return or raise what comes of it."""
        outcome: Future[Any] = Future()

        def run() -> None:
            try:
                outcome.set_result(function(*args, **options))
            except BaseException as error:
                outcome.set_exception(error)

        self._hand_over(run)
        return outcome.result(4 * BOUND)

    def stop(self) -> None:
        self._hand_over(None)
        self.thread.join(BOUND)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def hub_in_a_thread() -> Iterator[Call]:
    """Live in a hub."""
    hub = Hub()
    try:
        yield hub.call
    finally:
        hub.stop()


KIND = Kind(WebSocketClient, hub_in_a_thread)
