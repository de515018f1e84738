"""The manager of threads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.contract import Contract, Host
from tests.drivers.peer import tcp_pair
from ws4py_middleware.manager import EPollPoller, SelectPoller, WebSocketManager


@pytest.fixture(params=[EPollPoller, SelectPoller])
def host(request: pytest.FixtureRequest) -> Iterator[ThreadHost]:
    before = threading.active_count()
    host = ThreadHost(request.param())
    yield host
    host.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.001)


class TestContract(Contract):
    pass
