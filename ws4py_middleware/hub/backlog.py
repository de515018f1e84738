"""The backlog: messages that wait until the backplane takes them. It knows no lock and no network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

__all__ = ["Backlog", "Item"]


class Item:
    """One message on its way out."""

    __slots__ = ("channel", "fate", "wire")

    def __init__(self, channel: bytes, wire: bytes) -> None:
        self.channel = channel
        self.wire = wire
        #: ``None`` while it waits; then whether it was sent.
        self.fate: bool | None = None

    def command(self) -> tuple[str | bytes | int, ...]:
        """Return what Redis is told."""
        return ("PUBLISH", self.channel, self.wire)


class Backlog:
    """
    A queue with two bounds, first in, first out.

    What was taken counts until it is settled, so that an outage in the middle of sending is bounded as well.

    Args:
        max_count: Most messages.
        max_size: Most bytes of them together.
    """

    def __init__(self, max_count: int, max_size: int) -> None:
        self._max_count = max_count
        self._max_size = max_size
        self._waiting: deque[Item] = deque()
        self._taken: list[Item] = []
        #: How many bytes wait.
        self.size = 0
        #: How many messages were dropped, because of a bound.
        self.dropped = 0

    def __iter__(self) -> Iterator[Item]:
        return chain(self._taken, self._waiting)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    def has_room(self, item: Item) -> bool:
        """Return whether it can be added and nothing has to be dropped; one alone always can."""
        return not len(self) or (len(self) < self._max_count and self.size + len(item.wire) <= self._max_size)

    def add(self, item: Item) -> None:
        """Add a message; what has waited longest makes room for it."""
        while self._waiting and not self.has_room(item):
            self._drop(self._waiting.popleft())
        if not self.has_room(item):  # all the others are being sent
            self.dropped += 1
            item.fate = False
            return
        self._waiting.append(item)
        self.size += len(item.wire)

    def remove(self, item: Item) -> bool:
        """Take a message back; return whether it still waited."""
        try:
            self._waiting.remove(item)
        except ValueError:
            return False
        self.size -= len(item.wire)
        item.fate = False
        return True

    def take(self, max_count: int, max_size: int) -> list[Item]:
        """Take what is to be sent now, the oldest first: at least one message, when there is one."""
        taken: list[Item] = []
        size = 0
        while self._waiting and len(taken) < max_count and (not taken or size < max_size):
            item = self._waiting.popleft()
            size += len(item.wire)
            taken.append(item)
        self._taken += taken
        return taken

    def settle(self, fates: Iterable[bool]) -> None:
        """Forget what was taken: each was sent, or refused. What was dropped meanwhile stays so."""
        for item, fate in zip(self._taken, fates, strict=False):
            self.size -= len(item.wire)
            item.fate = fate
        self._taken = []

    def put_back(self) -> None:
        """Let what was taken wait again, in its place: it is not known to have arrived."""
        self._waiting.extendleft(reversed(self._taken))
        self._taken = []

    def clear(self) -> None:
        """Drop everything."""
        self.put_back()
        while self._waiting:
            self._drop(self._waiting.popleft())

    def _drop(self, item: Item) -> None:
        self.size -= len(item.wire)
        self.dropped += 1
        item.fate = False
