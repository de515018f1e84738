"""P19 and P23: what connections held comes back, and running out of descriptors ends nothing."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable

import pytest

from tests.promises.attacker import (
    DEFLATE,
    Memory,
    Peer,
    count_fds,
    cpu_seconds,
    many,
    report,
    upgrade,
    wait_idle,
)
from tests.promises.conftest import StartFresh
from tests.promises.leaving import WAYS
from tests.promises.wire import BINARY, NO_KEY, TEXT, KiB, MiB, close_frame, deflate, frame, request
from tests.servers import Server, wait_for

pytestmark = pytest.mark.slow


# --- P19 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", WAYS)
def test_p19_descriptors_and_threads_come_back(server: Server, leave: Callable[[Server], None]) -> None:
    """Within a second, ten times over."""
    leave(server)
    wait_idle(server)
    threads = server.threads()
    for _ in range(9):
        leave(server)
    wait_idle(server)
    # A thread may outlive its connection by a moment.
    wait_for(lambda: server.threads() <= threads, timeout=1, what="the threads")


def test_p19_function_that_does_not_listen_keeps_no_descriptor(server: Server) -> None:
    """
    Its inbox is full, so nothing is read when the reset comes; the next ping finds it out.

    What the peer had said before is kept for the function as long as that.
    """
    with upgrade(server, "/absent") as peer:
        peer.send(frame(TEXT, b"x") * 50)
        wait_for(lambda: peer.flood(frame(TEXT, b"x" * 1000), 0.05) == 0, what="the server to stop reading")
        peer.reset()
    wait_idle(server, timeout=1.5)


def test_p19_large_messages_that_never_end_leave_nothing(fresh: Server) -> None:
    """What was there of a message goes with its connection, not with the garbage collector."""
    chunk = frame(BINARY, bytes(MiB - KiB), length=MiB, key=NO_KEY)
    packed = frame(BINARY, deflate(bytes(MiB - KiB)), fin=False, rsv=4)
    with Memory(fresh) as memory:
        for number in range(30):
            with upgrade(fresh, "/deflate" if number % 2 else "/sink", DEFLATE) as peer:
                peer.send(packed if number % 2 else chunk)
                peer.send(frame(0x9, b"taken?") if number % 2 else b"")
                if number % 2:
                    assert peer.read_frame().payload == b"taken?"
            wait_idle(fresh)
    report(f"P19 {fresh.kind} unfinished messages", growth=memory.text)
    assert memory.growth <= 5 * MiB


def test_p19_churn_costs_nothing(fresh: Server) -> None:
    """64 bytes for each connection at most, after the first thousand have been served."""

    def churn(count: int) -> None:
        for number in range(count):
            with upgrade(fresh, "/room/churn" if number % 2 else "/echo") as peer:
                if not number % 2:
                    peer.echo()
                peer.send(close_frame(1000))
                peer.read_to_close()

    churn(1000)
    wait_idle(fresh)
    sizes = [fresh.rss()]
    for _ in range(4):
        churn(500)
        wait_idle(fresh)
        sizes.append(fresh.rss())
    growth = (min(sizes[-2:]) - min(sizes[:2])) / 1000
    report(f"P19 {fresh.kind} churn", per_connection=f"{growth:.0f} B", rss=[size // KiB for size in sizes])
    assert growth <= 64


# --- P23 -------------------------------------------------------------------------------------------------


def test_p23_out_of_descriptors(kind: str, start_fresh: StartFresh) -> None:
    with start_fresh(env={"PROMISES_NOFILE": "256"}) as server, contextlib.ExitStack() as stack:
        peers: list[Peer] = []

        def knock() -> bytes:
            """Ask for a WebSocket, and keep it; else return the answer."""
            peer = Peer(server.connect())
            peer.send(request("/echo"))
            if peer.read_head() == 101:
                peers.append(stack.enter_context(peer))
                return b""
            with peer:  # gunicorn waits for the client's end before it goes on
                return peer.head + b"\n" + peer.read_to_end()

        while not (answer := knock()):
            assert len(peers) < 256
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in answer
        assert len(peers) >= 150

        # Clients that do not take no for an answer, for two seconds.
        lines, cpu = len(server.log.splitlines()), cpu_seconds(server)
        began = time.monotonic()
        refused = 0
        while time.monotonic() < began + 2:
            # Where threads open and close descriptors there may be room for one more at times.
            if knock().startswith(b"HTTP/1.1 503"):
                refused += 1
            # Everybody else is served all the while: over HTTP, and those who are in.
            assert server.http("/").status == 200
            peers[refused % len(peers)].echo()
            time.sleep(0.02)
        elapsed = time.monotonic() - began
        cpu = (cpu_seconds(server) - cpu) / elapsed
        logged = [
            line
            for line in server.log.splitlines()[lines:]
            if '"GET /' not in line  # the access log
        ]
        for peer in peers:
            peer.echo()

        # And with nobody asking, nothing at all is done.
        idle = cpu_seconds(server)
        time.sleep(0.5)  # the measurement itself
        idle = (cpu_seconds(server) - idle) / 0.5

        for peer in peers[:20]:
            peer.sock.close()
        began = time.monotonic()
        wait_for(lambda: not knock(), timeout=5, what="a new connection")
        again = time.monotonic() - began
        assert len(peers) < 256
        assert refused >= 10
    report(
        f"P23 {kind}",
        open=len(peers),
        refused=refused,
        cpu=f"{cpu:.1%} asked, {idle:.1%} idle",
        lines_per_second=f"{len(logged) / elapsed:.1f}",
        accepts_after=f"{again * 1e3:.0f} ms",
    )
    assert cpu <= 0.2
    assert idle <= 0.02
    assert len(logged) <= elapsed + 1, logged
    assert again <= 2


@pytest.mark.capacity
def test_p19_a_thousand_at_rest_cost_no_time(server: Server) -> None:
    """Idle CPU is zero; the registrations of connections that have left do not wake anybody."""
    gc.collect()
    with many(server, 200):
        pass
    wait_idle(server)
    with many(server, 200):
        assert count_fds(server) >= 200
        before = cpu_seconds(server)
        time.sleep(0.5)  # the measurement itself
        used = (cpu_seconds(server) - before) / 0.5
    report(f"P19 {server.kind} idle", cpu=f"{used:.2%}")
    assert used <= 0.01
