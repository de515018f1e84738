"""Ten thousand idle connections in one worker: what they take of its memory, and of its time."""

from __future__ import annotations

import contextlib
import resource
import socket
import time

import pytest

from tests.promises.attacker import Peer, allow_many_descriptors, cpu_seconds, report
from tests.promises.conftest import APP, SYNC
from tests.promises.wire import TEXT, MiB, frame, request
from tests.servers import Server, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.capacity]

CONNECTIONS = 10_000
#: So many handshakes are on their way at a time.
AT_ONCE = 100
#: Above the empty worker, for all of them.
MOST_MEMORY = 40 * MiB


def choose_count() -> int:
    """Return how many there can be; the worker and this process have some of their own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard - 500)


def open_many(server: Server, count: int, stack: contextlib.ExitStack) -> list[Peer]:
    """Open so many WebSockets."""
    peers: list[Peer] = []
    for start_at in range(0, count, AT_ONCE):
        batch = []
        for _ in range(min(AT_ONCE, count - start_at)):
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            batch.append(stack.enter_context(Peer(sock)))
            batch[-1].send(request("/silent"))
        for peer in batch:
            assert peer.read_head() == 101
        peers += batch
    return peers


def test_ten_thousand_idle_connections_cost_40_mib_and_no_time() -> None:
    allow_many_descriptors()
    count = choose_count()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start(SYNC, APP))
        most = server.fds() + 10  # the manager has some, once there is one
        with contextlib.ExitStack() as few:  # what it loads for the first is not what each costs
            for peer in open_many(server, 50, few):
                peer.echo()
        wait_for(lambda: server.fds() <= most, what="the first ones to be gone")
        empty = server.rss()
        peers = open_many(server, count, stack)
        wait_for(
            lambda: count < server.fds() <= count + most, what="all that is of their requests to be gone"
        )
        began, before = time.monotonic(), cpu_seconds(server)
        time.sleep(1)  # the measurement itself
        used = (cpu_seconds(server) - before) / (time.monotonic() - began)
        grown = server.rss() - empty
        report(f"{count} idle", memory=f"{grown / MiB:.1f} MiB", cpu=f"{used:.2%}")
        assert grown <= MOST_MEMORY * count / CONNECTIONS
        assert used <= 0.01
        for peer in peers[:: count // 100]:
            peer.send(frame(TEXT, b"still here"))
            assert peer.read_frame().payload == b"still here"
