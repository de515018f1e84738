"""The keepalive: which pong answers which ping, and how long that took."""

from __future__ import annotations

import math
import struct

from .counts import Counts
from .events import PongReceived

__all__ = ["Keepalive"]

_pack_32 = struct.Struct("!I").pack

#: When a ping was sent, of one that nobody waits for.
_NEVER = math.inf


class Keepalive:
    """
    The keepalive pings of one connection, :rfc:`6455#section-5.5.2`.

    Each connection that is not young has one, so that what was measured are numbers, and no objects.
    """

    __slots__ = ("_count", "_later", "_sent_at", "answered", "highest", "last", "lowest", "total")

    def __init__(self) -> None:
        #: How many were answered, and how many seconds that took: the last one, all of them, each at least
        #: and at most.
        self.answered = 0
        self.last = self.total = self.highest = 0.0
        self.lowest = _NEVER
        self._count = 0
        self._sent_at = _NEVER  # until then, and once it is answered
        self._later: bytes | None = None

    @property
    def is_unanswered(self) -> bool:
        """Whether a ping has no answer yet."""
        return self._sent_at != _NEVER

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
        if self._sent_at == _NEVER:
            return False
        if pong.data == _pack_32(self._count):
            latency = pong.latency = now - self._sent_at
            self.answered += 1
            self.last = latency
            self.total += latency
            self.lowest = min(self.lowest, latency)
            self.highest = max(self.highest, latency)
        elif pong.data != self._later:
            return False
        self._sent_at = _NEVER
        return True

    def count_into(self, counts: Counts) -> None:
        """Fill in what is known here of a connection."""
        if self.answered:
            counts.pings_answered = self.answered
            counts.latency_sum = self.total
            counts.latency_min = self.lowest
            counts.latency_max = self.highest
