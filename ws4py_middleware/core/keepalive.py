"""The keepalive: which pong answers which ping, and how long that took."""

from __future__ import annotations

import struct

from .counts import Counts, Latencies
from .events import PongReceived

__all__ = ["Keepalive"]

_pack_32 = struct.Struct("!I").pack


class Keepalive:
    """The keepalive pings of one connection, :rfc:`6455#section-5.5.2`."""

    __slots__ = ("_count", "_later", "_sent_at", "latencies")

    def __init__(self) -> None:
        #: How long the answers took; ``None`` before the first.
        self.latencies: Latencies | None = None
        self._count = 0
        self._sent_at: float | None = None  # until it is answered
        self._later: bytes | None = None

    @property
    def is_unanswered(self) -> bool:
        """Whether a ping has no answer yet."""
        return self._sent_at is not None

    def make_ping(self, now: float) -> bytes:
        """Return the payload of the next ping, which is sent now."""
        self._count = (self._count + 1) & 0xFFFFFFFF
        self._sent_at = now
        self._later = None
        return _pack_32(self._count)

    def note_ping(self, payload: bytes) -> None:
        """Note a ping of the application's own."""
        # RFC 6455 section 5.5.3: the peer may answer this one instead of the keepalive ping before it.
        self._later = payload

    def match(self, pong: PongReceived, now: float) -> bool:
        """Tell whether a pong is the answer that is waited for; its ``latency`` is set if that is known."""
        if self._sent_at is None:
            return False
        if pong.data == _pack_32(self._count):
            latency = pong.latency = now - self._sent_at
            if self.latencies is None:
                self.latencies = Latencies(latency)
            else:
                self.latencies.add(latency)
        elif pong.data != self._later:
            return False
        self._sent_at = None
        return True

    def count_into(self, counts: Counts) -> None:
        """Fill in what is known here of a connection."""
        latencies = self.latencies
        if latencies is not None:
            counts.pings_answered = latencies.count
            counts.latency_sum = latencies.total
            counts.latency_min = latencies.lowest
            counts.latency_max = latencies.highest
