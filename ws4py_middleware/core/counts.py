"""What is counted of connections: messages, bytes, the queue, and how long a ping takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Counts", "ratio"]

_HIGHEST = frozenset({"queued_max", "latency_max"})


@dataclass(slots=True)
class Counts:
    """
    What has passed on a connection, or on many of them; nothing in it ever becomes less.

    >>> both = Counts(messages_sent=2, queued_max=10)
    >>> both.add(Counts(messages_sent=3, queued_max=7))
    >>> both.messages_sent, both.queued_max
    (5, 10)
    """

    #: Whole messages that came, and those that were taken to be sent.
    messages_received: int = 0
    messages_sent: int = 0
    #: Messages that ``queue_policy`` has dropped; the oldest ones were counted as sent before.
    messages_dropped: int = 0
    #: Bytes from and to the network: of frames, before TLS. Under ASGI of messages: the frames are others'.
    bytes_received: int = 0
    bytes_sent: int = 0
    #: Of messages that came or went compressed: their bytes on the wire, and without compression.
    packed_received: int = 0
    plain_received: int = 0
    packed_sent: int = 0
    plain_sent: int = 0
    #: Most bytes that have waited for the network.
    queued_max: int = 0
    #: Keepalive pings that were answered, and the seconds that this took: in all, at least, at most.
    pings_answered: int = 0
    latency_sum: float = 0.0
    latency_min: float | None = None
    latency_max: float | None = None

    def add(self, other: Counts) -> None:
        """Add those of another connection."""
        for name in _NAMES:
            mine, others = getattr(self, name), getattr(other, name)
            if others is not None:
                setattr(self, name, _join(name, mine, others))

    @property
    def latency_avg(self) -> float | None:
        """Seconds that the answer to a keepalive ping has taken on average; ``None`` before the first."""
        return self.latency_sum / self.pings_answered if self.pings_answered else None

    @property
    def compression_received(self) -> float | None:
        """How many bytes each compressed one that came has stood for; ``None`` before the first."""
        return ratio(self.plain_received, self.packed_received)

    @property
    def compression_sent(self) -> float | None:
        """How many bytes each compressed one that was sent stands for; ``None`` before the first."""
        return ratio(self.plain_sent, self.packed_sent)


_NAMES = tuple(field.name for field in fields(Counts))


def _join(name: str, mine: Any, others: Any) -> Any:
    if mine is None:
        return others
    if name in _HIGHEST:
        return max(mine, others)
    return min(mine, others) if name == "latency_min" else mine + others


def ratio(plain: int, packed: int) -> float | None:
    """
    Return how many bytes one compressed byte stands for.

    >>> ratio(400, 100)
    4.0
    """
    return plain / packed if packed else None
