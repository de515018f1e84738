"""A manager of threads for a test, and what goes with it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.contract import Host
from tests.drivers.peer import tcp_pair, wait_until
from ws4py_middleware.manager import EPollPoller, SelectPoller, WebSocketManager


class ThreadHost(Host):
    def __init__(self, poller: Any = None) -> None:
        super().__init__()
        self.manager: WebSocketManager = WebSocketManager(poller)
        self.manager.daemon = True  # a test that fails must not wait for it
        self.manager.start()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def tcp_pair(self) -> tuple[Any, Any]:
        return tcp_pair()

    def socketpair(self) -> tuple[Any, Any]:
        return socket.socketpair()

    def spawn(self, function: Callable[[], object]) -> Callable[[], None]:
        errors: list[BaseException] = []

        def run() -> None:
            try:
                function()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def join() -> None:
            thread.join(10)
            assert not thread.is_alive()
            if errors:
                raise errors[0]

        return join


@pytest.fixture(params=[EPollPoller, SelectPoller])
def host(request: pytest.FixtureRequest) -> Iterator[ThreadHost]:
    before = set(threading.enumerate())
    host = ThreadHost(request.param())
    yield host
    host.close()
    wait_until(lambda: set(threading.enumerate()) <= before)


@pytest.fixture
def threads() -> Iterator[ThreadHost]:
    """A running manager; afterwards all its threads are gone, and all it spawned."""
    before = set(threading.enumerate())
    host = ThreadHost()
    yield host
    host.close()
    wait_until(lambda: set(threading.enumerate()) <= before)
