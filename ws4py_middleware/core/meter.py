"""
The meter: what one peer sends, against the rates and the idle timeout of its policy.

A connection without either has none, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..exc import PolicyViolation
from .buckets import TokenBucket
from .deadlines import Deadlines
from .events import CloseReceived, Event, MessageReceived
from .parser import Parser
from .policy import Policy, Rate, as_rate

__all__ = ["Meter"]


class Meter:
    """
    What one peer sends.

    The first message, or the first bytes, that are too many end the connection with 1008. To read on more
    slowly instead would leave the peer's pongs and its Close frame unread, too. What came before them is
    delivered.

    Args:
        policy: ``message_rate``, ``byte_rate`` and ``idle_timeout``.
        deadlines: What is told of messages.
        now: The time at which the connection was opened.
    """

    __slots__ = ("_bytes", "_deadlines", "_messages", "_policy", "error")

    def __init__(self, policy: Policy, deadlines: Deadlines, now: float) -> None:
        #: What the peer has done, once it has done too much.
        self.error: PolicyViolation | None = None
        self._policy = policy
        self._deadlines = deadlines
        messages, size = as_rate(policy.message_rate), as_rate(policy.byte_rate)
        self._messages = None if messages is None else TokenBucket(messages, now)
        self._bytes = None if size is None else TokenBucket(size, now)

    @classmethod
    def of(cls, policy: Policy, deadlines: Deadlines, now: float) -> Meter | None:
        """Return the meter of a connection; ``None`` where its policy asks for nothing that needs one."""
        settings = policy.message_rate, policy.byte_rate, policy.idle_timeout
        return None if settings == (None, None, None) else cls(policy, deadlines, now)

    def feed(self, parser: Parser, data: bytes, max_frames: int | None, now: float) -> list[Event]:
        """Let a parser parse, and return the events that are within the rates; beyond them it is stopped."""
        if parser.error is not None:
            return []
        events: list[Event] = []
        if self._takes_bytes(len(data), now):
            events = self._take(parser.feed(data, max_frames), now)
        if self.error is not None:
            parser.stop(self.error)
        return events

    def fill(self, parser: Parser, size: int, now: float) -> list[Event]:
        """Let a parser take what was read into its room, as :meth:`feed` does."""
        events: list[Event] = []
        if self._takes_bytes(size, now):
            events = self._take(parser.room_filled(size), now)
        if self.error is not None:
            parser.stop(self.error)
        return events

    def measure(self, events: Iterable[Event], now: float) -> list[Event]:
        """Return those of some events that are within the rates; how a connection ended always is."""
        taken: list[Event] = []
        for event in events:
            if isinstance(event, MessageReceived) and self._takes_bytes(len(event.data), now):
                taken += self._take([event], now)
            elif isinstance(event, CloseReceived):
                taken.append(event)
        return taken

    def _takes_bytes(self, size: int, now: float) -> bool:
        """Count bytes, before anything is made of them; tell whether they are within the rate."""
        if self.error is None and self._bytes is not None and not self._bytes.take(size, now):
            self.error = PolicyViolation(f"more than {_say(self._policy.byte_rate, 'bytes')}")
        return self.error is None

    def _take(self, events: list[Event], now: float) -> list[Event]:
        """Count messages; return the events before the first that is too many."""
        messages = self._messages
        has_message = False
        for position, event in enumerate(events):
            if event.__class__ is not MessageReceived:
                continue
            if messages is not None and not messages.take(1, now):
                self.error = PolicyViolation(f"more than {_say(self._policy.message_rate, 'messages')}")
                events = events[:position]
                break
            has_message = True
        if has_message:
            self._deadlines.message_received(now)
        return events


def _say(value: float | Rate | None, what: str) -> str:
    rate = as_rate(value)
    assert rate is not None
    return f"{rate.amount:g} {what} in {rate.per:g} s"
