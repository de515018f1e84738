"""A worker that dies, and what its clients and everybody else notice."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.harness import GEVENT, GTHREAD, start_watched

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", [GTHREAD, GEVENT])
def test_worker_that_is_killed_is_replaced(kind: str) -> None:
    with start_watched(kind, workers=4, expected=["was sent SIGKILL"]) as watched:
        peers = {worker: watched.connect_to(worker) for worker in watched.workers}
        for peer in peers.values():
            peer.echo()
            peer.sock.close()
        with watched.recovers():
            os.kill(watched.workers[0], signal.SIGKILL)
