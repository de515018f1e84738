"""P8: peers that are silent, drip, stall, do not pong, do not close, or are stuck are dropped."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.promises.attacker import Peer, count_fds, report, upgrade, wait_idle
from tests.promises.conftest import BOTH
from tests.promises.wire import BINARY, CONTINUATION, NO_KEY, PING, PONG, TEXT, frame
from tests.servers import Server
from ws4py_middleware.core.deadlines import LINGER
from ws4py_middleware.core.policy import Policy

pytestmark = pytest.mark.slow
on_both = pytest.mark.parametrize("kind", BOTH, indirect=True)

#: Routes whose intervals and time-outs are 0.5 s each.
QUICK = 0.5
#: What a process on a busy machine may be late.
LATE = 1.5


def test_p08_default_timeouts_add_up_to_the_promise() -> None:
    """The tests below run with shorter ones; these are the defaults' sums on paper."""
    policy = Policy()
    assert policy.ping_interval is not None
    assert policy.ping_timeout is not None
    assert policy.write_timeout is not None
    assert policy.close_timeout is not None
    assert policy.open_timeout is not None
    # It is told why, and has a moment to say good-bye.
    assert policy.ping_interval + policy.ping_timeout + LINGER <= 45
    assert policy.write_timeout <= 45
    # A peer that gets a ping it does not take: the time-out of the write begins with the ping.
    assert policy.ping_interval + policy.write_timeout <= 45
    assert policy.close_timeout <= 11
    assert policy.open_timeout <= 11


def send_now_and_then(peer: Peer, data: bytes) -> None:
    """Send until the server ends its side."""
    deadline = time.monotonic() + 10
    peer.sock.settimeout(0.05)
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if not peer.fill():
                    break
            peer.send(data)
    peer.sock.settimeout(10)


def silent(peer: Peer) -> None:
    pass


def dripping(peer: Peer) -> None:
    """Half a frame at the start, then a byte now and then: bytes are no sign of life, a pong is."""
    peer.send(frame(BINARY, length=1000))
    send_now_and_then(peer, b"x")


def stalled(peer: Peer) -> None:
    peer.send(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x" * 100)[:50])


def talking(peer: Peer) -> None:
    """Messages and pings of its own, and pongs that answer nothing: all but the pong that is asked for."""
    send_now_and_then(peer, frame(TEXT, b"x") + frame(PING, b"x") + frame(PONG, b"x"))


@on_both
def test_p08_peers_that_do_not_pong_are_dropped(server: Server) -> None:
    def run(path: str, behave: Callable[[Peer], None]) -> tuple[str, float]:
        with upgrade(server, path) as peer:
            began = time.monotonic()
            behave(peer)
            peer.expect_close(1011)  # it is told why, too
            assert peer.read_to_end() == b""
            return f"{path} {behave.__name__}", time.monotonic() - began

    wait_idle(server)
    cases = list(itertools.product(["/quick", "/quick-function"], [silent, dripping, stalled, talking]))
    with ThreadPoolExecutor(len(cases)) as pool:
        results = dict(pool.map(lambda case: run(*case), cases))
    for name, elapsed in results.items():
        report(f"P8 {server.kind} {name}", dropped=f"{elapsed:.2f} s, {2 * QUICK} s are set")
        assert elapsed <= 2 * QUICK + LATE, results
    wait_idle(server)


@on_both
def test_p08_peer_that_pongs_is_kept(server: Server) -> None:
    with upgrade(server, "/quick") as peer:
        until = time.monotonic() + 3 * QUICK
        while time.monotonic() < until:
            found = peer.read_frame()
            assert found.opcode == PING
            peer.send(frame(PONG, found.payload))
        peer.send(frame(TEXT, b"still here?"))
        while (found := peer.read_frame()).opcode == PING:
            peer.send(frame(PONG, found.payload))
        assert found.payload == b"still here?"


@on_both
@pytest.mark.parametrize("reads", [True, False])
def test_p08_peer_that_does_not_answer_a_close_is_dropped(server: Server, reads: bool) -> None:
    with upgrade(server, "/quick-command") as peer:
        began = time.monotonic()
        peer.send(frame(TEXT, b"close 1000"))
        if reads:
            assert peer.read_to_close().code == 1000
        wait_idle(server, timeout=5)
        elapsed = time.monotonic() - began
    report(f"P8 {server.kind} close-deaf", dropped=f"{elapsed:.2f} s, {QUICK} s are set")
    assert elapsed <= QUICK + LATE


@on_both
@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/quick", frame(BINARY, bytes(60_000), key=NO_KEY) * 200),
        ("/quick-function", frame(BINARY, bytes(60_000), key=NO_KEY) * 200),
        ("/quick-command", frame(TEXT, b"fill 10000000")),
        ("/quick-command", frame(TEXT, b"flood 1000")),
    ],
    ids=["echo", "function", "one large message", "many messages"],
)
def test_p08_peer_that_is_stuck_is_dropped(server: Server, path: str, wire: bytes) -> None:
    """It reads nothing of what it has asked for; its own pings and messages do not keep it either."""
    with upgrade(server, path, receive_buffer=4096) as peer:
        began = time.monotonic()
        peer.flood(wire, seconds=0.2, limit=len(wire))
        deadline = began + 10
        while count_fds(server) > 0 and time.monotonic() < deadline:
            peer.flood(frame(PING) + frame(PONG), seconds=0.05, limit=12)
            time.sleep(0.02)
        elapsed = time.monotonic() - began
    report(f"P8 {server.kind} {path} stuck", dropped=f"{elapsed:.2f} s")
    assert elapsed <= 2 * QUICK + LATE


@on_both
def test_p08_peer_without_messages_is_dropped_when_asked_for(server: Server) -> None:
    """``idle_timeout``: pings and pongs do not count."""
    with upgrade(server, "/idle") as peer:
        peer.echo()
        began = time.monotonic()
        peer.send(frame(PING))
        assert peer.read_frame().opcode == PONG
        assert peer.read_to_close().code == 1000
        assert time.monotonic() - began <= 0.5 + LATE
