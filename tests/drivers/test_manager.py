"""The manager of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.drivers.contract import Contract
from tests.drivers.peer import wait_until
from tests.drivers.threads import ThreadHost
from ws4py_middleware.manager import EPollPoller, SelectPoller


@pytest.fixture(params=[EPollPoller, SelectPoller])
def host(request: pytest.FixtureRequest) -> Iterator[ThreadHost]:
    before = set(threading.enumerate())
    host = ThreadHost(request.param())
    yield host
    host.close()
    wait_until(lambda: set(threading.enumerate()) <= before)


class TestContract(Contract):
    pass
