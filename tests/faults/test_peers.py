"""What clients do to a server, and that afterwards everything is as it was."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.audience import announcement, audience
from tests.faults.harness import APP, Margin, Watched, cost_of, start_watched
from tests.promises.attacker import (
    DEFLATE,
    Attack,
    Patience,
    Peer,
    many,
    report,
    upgrade,
    warm_up,
)
from tests.promises.conftest import ALL, GEVENT, ONE_ARENA
from tests.promises.floods import FLOODS, attack_with
from tests.promises.wire import BINARY, CONTINUATION, TEXT, KiB, MiB, deflate, frame, request
from tests.servers import wait_for

pytestmark = pytest.mark.slow

#: Beyond what was there: what a heap that was used has in between.
MARGIN = Margin(memory=4 * MiB)


@pytest.fixture(scope="module", params=ALL)
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    with start_watched(request.param, APP, env=ONE_ARENA) as watched:
        warm_up(watched.server)
        yield watched


# --- cut off ---------------------------------------------------------------------------------------------

#: What was said of a message when its sender was cut off.
UNFINISHED: dict[str, bytes] = {
    "the first byte of a frame": frame(BINARY)[:1],
    "half a length": frame(BINARY, length=MiB)[:5],
    "half a mask": frame(BINARY, length=1000)[:6],
    "half a payload": frame(BINARY, bytes(50_000), length=100_000),
    "a fragment": frame(TEXT, b"x" * 1000, fin=False) + frame(CONTINUATION, b"x" * 10, fin=False),
    "half of what is compressed": frame(TEXT, deflate(b"text" * 1000), rsv=4)[:-5],
}


def test_peers_cut_off_in_mid_frame_by_the_hundred_leave_nothing(watched: Watched) -> None:
    """Six times fifty, with as many who have asked for something that is on its way to them."""
    with watched.recovers(MARGIN):
        for wire in UNFINISHED.values():
            peers = [upgrade(watched.server, "/deflate", DEFLATE) for _ in range(50)]
            for number, peer in enumerate(peers):
                peer.send((frame(BINARY, bytes(30_000)) if number % 2 else b"") + wire)
            for peer in peers:
                peer.reset()


# --- floods ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flood", ["pings", "tiny fragments", "1-byte writes", "bombs", "small bombs"])
def test_peers_that_flood_leave_nothing(watched: Watched, flood: str) -> None:
    """How long others wait meanwhile is P7's."""
    with watched.recovers(MARGIN), Attack(attack_with(watched.server, FLOODS[flood])) as attack:
        time.sleep(0.7)  # the flood itself
    assert attack.rounds >= 4


# --- a broadcast -------------------------------------------------------------------------------------------


def say_to_all(speaker: Peer, announcement: bytes) -> None:
    """Say it, and wait for the answer: how many it was queued for."""
    speaker.send(announcement)
    while speaker.read_frame().opcode != TEXT:
        pass  # it may be told as well


@pytest.mark.parametrize(
    ("listen", "say"),
    [("/room/crowd", "/publish/crowd"), ("/sink", "/broadcast")],
    ids=["hub.publish", "manager.broadcast"],
)
def test_peer_that_never_reads_while_200_are_broadcast_to(watched: Watched, listen: str, say: str) -> None:
    """All others get everything, in order and in time; the one who does not read is cut off for it."""
    count, size = 100, 16 * KiB
    server = watched.server
    with (
        watched.recovers(MARGIN),
        upgrade(server, listen, receive_buffer=4096) as stuck,
        upgrade(server, say) as speaker,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(64):  # as much as the kernel keeps for one that does not read, or nearly so
            say_to_all(speaker, announcement(0, 4 * size))
        crowd = stack.enter_context(audience(server, listen, 200))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        patience = Patience(server)
        reading = pool.submit(crowd.read, count, timeout=20)
        for number in range(count):
            say_to_all(speaker, announcement(number, size))
            time.sleep(0.01)
        reading.result()
        report(f"faults {server.kind} {say}", latency=crowd.latency.text, factor=f"{patience.factor:.1f}")
        assert crowd.latency.p99 <= 0.25 * patience.factor
        assert len(crowd.latency) == 200 * count
        assert len(stuck.read_to_end()) < count * size


# --- descriptors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_descriptors_exhausted_and_back(kind: str) -> None:
    """Not one can be opened, for whatever; those who are in are served, also by handlers that block."""
    # gevent's server tells of each accept() that fails.
    asked_for = "OSError: [Errno 24] Too many open files" if kind == GEVENT else None
    with start_watched(kind, APP, asked_for=asked_for) as watched:
        server, pid = watched.server, watched.server.pid
        warm_up(server)
        with watched.recovers(MARGIN), many(server, 50) as peers, upgrade(server, "/blocking") as slow:
            slow.echo()
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (cost_of(pid).fds, before[1]))
            try:
                with contextlib.ExitStack() as stack:
                    if kind == GEVENT:
                        # The other workers of gunicorn end when they cannot accept a connection.
                        for _ in range(20):
                            stack.enter_context(Peer(server.connect())).send(request("/echo"))
                    slow.send(frame(TEXT, b"slow"))
                    for peer in peers:
                        peer.echo()
                    assert slow.read_frame().payload == b"slow"
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert "ERROR ws4py_middleware" not in server.log, server.log


def test_descriptors_refused_clients_leave_nothing(watched: Watched) -> None:
    """With hardly a descriptor left upgrades are refused, see P23; afterwards there is room again."""
    server = watched.server
    with watched.recovers(MARGIN):
        pid = server.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (cost_of(pid).fds + 100, before[1]))
        refused = 0
        try:
            with contextlib.ExitStack() as stack:
                while refused < 30:
                    peer = stack.enter_context(Peer(server.connect()))
                    peer.send(request("/echo"))
                    if peer.read_head() != 101:
                        refused += 1
                        peer.read_to_end()
                        peer.sock.close()
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        wait_for(lambda: cost_of(pid).fds <= watched.before[pid].fds, 1, "the descriptors")
