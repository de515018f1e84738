"""The server of gevent that ws4py had, on real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.entrances.own_servers import OwnServerContract, run
from tests.servers import Server

KINDS = [
    ("ws4py-gevent", False),
    ("ws4py-gevent", True),
    ("ws4py-gevent-unpatched", False),
    ("ws4py-gevent-unpatched", True),
]


@pytest.fixture(scope="class", params=KINDS, ids=lambda param: f"{param[0]}-{'wss' if param[1] else 'ws'}")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with run(*request.param) as server:
        yield server


class TestServer(OwnServerContract):
    pass
