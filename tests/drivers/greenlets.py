"""A manager of greenlets for a test, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.socket
import pytest

from tests.drivers.contract import Host
from ws4py_middleware.greenlets import GreenletManager


class GreenletHost(Host):
    def __init__(self) -> None:
        super().__init__()
        self.manager: GreenletManager = GreenletManager()

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def tcp_pair(self) -> tuple[Any, Any]:
        listener = gevent.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = gevent.socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        listener.close()
        return client, server

    def socketpair(self) -> tuple[Any, Any]:
        client, server = gevent.socket.socketpair()
        return client, server

    def spawn(self, function: Callable[[], object]) -> Callable[[], None]:
        greenlet = gevent.spawn(function)

        def join() -> None:
            greenlet.get(timeout=10)

        return join

    def in_thread(self, function: Callable[[], object]) -> Callable[[], None]:
        """Run a function in a thread of the system, also when ``threading`` is patched."""
        result = gevent.get_hub().threadpool.spawn(function)

        def join() -> None:
            result.get(timeout=10)

        return join


@pytest.fixture
def host() -> Iterator[GreenletHost]:
    host = GreenletHost()
    yield host
    host.close()
    assert host.manager._seats == {}
    assert len(host.manager._timers) == 0
