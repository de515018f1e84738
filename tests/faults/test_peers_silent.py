"""P21: thousands who connect and say nothing, and thousands who have a WebSocket and say nothing."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.faults.harness import APP, Margin, start_watched
from tests.promises.attacker import (
    DEFLATE,
    Patience,
    Peer,
    allow_many_descriptors,
    best,
    many,
    report,
    trim,
    upgrade,
    wait_idle,
    warm_up,
)
from tests.promises.conftest import ALL, GEVENT, ONE_ARENA
from tests.promises.wire import TEXT, KiB, MiB, deflate, frame
from tests.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.capacity]

#: What the heap of so many was cut into; the same again finds it.
MARGIN = Margin(memory=8 * MiB)


def serve_a_new_client(server: Server) -> float:
    began = time.perf_counter()
    with upgrade(server) as peer:
        peer.echo()
    return time.perf_counter() - began


def connect_silently(server: Server, stack: contextlib.ExitStack) -> list[Peer]:
    return [stack.enter_context(Peer(server.connect())) for _ in range(2000)]


def rest(server: Server) -> None:
    wait_idle(server, timeout=5)
    trim(server)


@pytest.mark.parametrize("kind", ALL)
def test_p21_new_client_is_served_beside_2000_silent_and_1000_idle(kind: str) -> None:
    """
    Within 250 ms, and each idle WebSocket costs 12 KiB at most; and afterwards all is back.

    Under gunicorn's sync and gthread workers who connects and says nothing has a thread of gunicorn's; the
    page on security says so. So the silent come to these when the new client was served: those who are in
    notice nothing.
    """
    allow_many_descriptors()
    options = ("--worker-connections", "4000", "--backlog", "4096")
    with start_watched(kind, APP, env=ONE_ARENA, options=options) as watched:
        server = watched.server
        warm_up(server)
        trim(server)
        before = server.rss()
        with many(server, 1000), contextlib.ExitStack() as stack:
            trim(server)
            each = (server.rss() - before) / 1000
            connect_silently(server, stack)
        rest(server)
        # Python keeps what so many had, in pieces, for the next ones: these find it.
        with watched.recovers(MARGIN), contextlib.ExitStack() as stack:
            idle = [stack.enter_context(upgrade(server)) for _ in range(1000)]
            silent = connect_silently(server, stack) if kind == GEVENT else []
            patience = Patience(server)
            slowest = best(lambda: max(serve_a_new_client(server) for _ in range(10)), 0.25)
            silent = silent or connect_silently(server, stack)
            for peer in idle[::50]:
                peer.echo()
            factor = patience.factor
            for peer in silent[::2]:
                peer.reset()
            stack.close()
            rest(server)
        report(
            f"P21 {kind}",
            new=f"{slowest * 1e3:.0f} ms",
            each=f"{each / KiB:.1f} KiB",
            factor=f"{factor:.1f}",
        )
    assert slowest <= 0.25 * factor
    assert each <= 12 * KiB


@pytest.mark.parametrize("kind", ALL)
def test_p21_idle_websocket_with_deflate_costs_64_kib(kind: str) -> None:
    """Each has sent and got what is compressed, so it has both of its windows."""
    text = frame(TEXT, deflate(b"so long that it is compressed, too: " * 20), rsv=4)
    with start_watched(kind, APP, env=ONE_ARENA) as watched:
        server = watched.server
        warm_up(server)
        trim(server)
        with watched.recovers(MARGIN), contextlib.ExitStack() as stack:
            before = server.rss()
            for _ in range(300):
                peer = stack.enter_context(upgrade(server, "/deflate", DEFLATE))
                peer.send(text)
                assert peer.read_frame().first & 0x40
            trim(server)
            each = (server.rss() - before) / 300
            stack.close()
            rest(server)
    report(f"P21 {kind} deflate", each=f"{each / KiB:.1f} KiB")
    assert each <= 64 * KiB
