"""Many who read what is said to all of them, each message timed."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Sequence

from tests.promises.attacker import Latency, Peer, upgrade
from tests.promises.wire import BINARY, NO_KEY, frame
from tests.servers import Server

__all__ = ["Audience", "announcement", "audience", "read_each"]

_HEAD = 6 + 20


def announcement(number: int, size: int) -> bytes:
    """Build a message to publish that tells its number and its time."""
    text = b"%06d%020.9f" % (number, time.perf_counter())
    return frame(BINARY, text + bytes(size - len(text)), key=NO_KEY)


def read_each(peers: Sequence[Peer], take: Callable[[Peer], bool], timeout: float) -> None:
    """
    Read what comes to each of many, until all have what they wait for.

    Args:
        take: Looks at what has come to one; returns whether that was all.

    Raises:
        AssertionError: One was thrown out, or the time is over.
    """
    left = {peer.sock.fileno(): peer for peer in peers}
    poll = select.poll()
    for fd in left:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + timeout
    while left:
        assert time.monotonic() < deadline, f"{len(left)} of {len(peers)} wait for the rest"
        for fd, _ in poll.poll(1000):
            assert left[fd].fill(), "one who reads was thrown out"
            if take(left[fd]):
                poll.unregister(fd)
                del left[fd]


class Audience:
    """So many clients in a room, or nowhere in particular."""

    def __init__(self, server: Server, path: str, count: int) -> None:
        self.peers: list[Peer] = []
        self.latency = Latency()
        self._counts: dict[int, int] = {}
        for _ in range(count):
            peer = upgrade(server, path)
            self.peers.append(peer)
            self._counts[peer.sock.fileno()] = 0

    def read(self, count: int, timeout: float) -> None:
        """
        Read until each has so many announcements.

        Raises:
            AssertionError: One came twice, out of order, or not in time.
        """
        read_each(self.peers, lambda peer: self._take(peer) >= count, timeout)

    def _take(self, peer: Peer) -> int:
        now, fd = time.perf_counter(), peer.sock.fileno()
        while (found := peer.take_frame()) is not None:
            assert found.opcode == BINARY, found
            assert int(found.payload[:6]) == self._counts[fd], "in order, each once"
            self.latency.append(now - float(found.payload[6:_HEAD]))
            self._counts[fd] += 1
        return self._counts[fd]

    def close(self) -> None:
        """Leave."""
        for peer in self.peers:
            peer.sock.close()


@contextlib.contextmanager
def audience(server: Server, path: str, count: int) -> Iterator[Audience]:
    """Have so many there for a while."""
    crowd = Audience(server, path, count)
    try:
        yield crowd
    finally:
        crowd.close()
