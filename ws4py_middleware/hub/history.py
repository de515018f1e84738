"""Histories in the process: what was published to rooms a while ago."""

from __future__ import annotations

import bisect
import itertools
import operator
import secrets
import time
from _thread import RLock
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .entries import Entry, KeptMessage, Page, Place
from .spans import Span

__all__ = ["Keeper", "KeepingBackplane", "MemoryHistory", "is_id"]

#: What a message, and a room, cost beside what is in them; bytes, about.
_COST = 300
_MAX_ID = 64
#: Rooms without messages of which it is remembered, in any case, that they had some.
_EMPTY = 1000


class Keeper(Protocol):
    """Whoever keeps the histories of rooms. It may be called from any thread."""

    #: Whether nobody waits when it reads, and all that is published comes from here.
    is_local: bool

    def keeps(self, room: str) -> bool:
        """Return whether a room has a history."""

    def is_ready(self, room: str) -> bool:
        """Return whether all that is published to it from now on is heard here, so that it can be read."""

    def read(self, room: str, since: str | None, max_count: int) -> Page:
        """
        Read what comes after an id, the oldest first; it may wait for the network.

        Args:
            since: ``None`` reads nothing, and tells where the history ends.

        Raises:
            ConnectionError: The history is away.
        """

    def read_last(self, room: str, since: str | None, max_count: int) -> list[KeptMessage]:
        """
        Read the last messages, the oldest first, and of these only what comes after an id.

        Raises:
            ConnectionError: The history is away.
        """


class KeepingBackplane(Keeper, Protocol):
    """What a :class:`~.Backplane` is besides, when it keeps histories; Redis' is."""

    def keep(self, span_of: Callable[[str], Span | None]) -> None:
        """Keep so much of each room, from the next start on."""

    def follow(self, ready: Callable[[str], object], wait_placed: Callable[[float], object]) -> None:
        """
        Let the hub know, from the next start on.

        Args:
            ready: To be called with a room whenever it can be read, and may not have been heard before.
            wait_placed: Waits so many seconds at most, until the hub has read where such rooms are; to be
                called before what this process has published since then is sent.
        """


def is_id(text: object) -> bool:
    """
    Return whether it may be the id of a message.

    >>> is_id("1718-0"), is_id("a b")
    (True, False)
    """
    return (
        isinstance(text, str)
        and 0 < len(text) <= _MAX_ID
        and text.isascii()
        and text.replace("-", "0").replace(".", "0").isalnum()
    )


class _Kept(NamedTuple):
    number: int
    at: float
    payload: bytes
    is_text: bool
    exclude: tuple[str, ...]


_number = operator.attrgetter("number")


class _Log:
    """What is kept of one room."""

    __slots__ = ("kept", "lost")

    def __init__(self, lost: int) -> None:
        self.kept: deque[_Kept] = deque()
        #: The highest number of a message that was dropped.
        self.lost = lost


class MemoryHistory:
    """
    The histories of the rooms of one process, bounded each and together.

    Ids are numbers that all rooms share, behind what tells one life of one process from all others.

    Args:
        span_of: How much is kept of a room.
        max_size: Most bytes of all rooms, with what it costs to keep them; the oldest messages go first.
        clock: Monotonic; seconds.
    """

    is_local = True

    def __init__(
        self,
        span_of: Callable[[str], Span | None],
        max_size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._span_of = span_of
        self._max_size = max_size
        self._clock = clock
        self._epoch = secrets.token_hex(6)
        self._lock = RLock()
        self._numbers = itertools.count(1)
        self._last = 0
        self._logs: OrderedDict[str, _Log] = OrderedDict()  # those that were not used for longest come first
        self._order: OrderedDict[int, str] = OrderedDict()  # the room of each message, the oldest first
        self._forgotten = 0  # the highest number in rooms of which nothing is known any more
        #: Bytes that are kept.
        self.size = 0

    def keeps(self, room: str) -> bool:
        """Return whether a room has a history."""
        return self._span_of(room) is not None

    def is_ready(self, room: str) -> bool:
        """Return that it can be read."""
        return True

    def append(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...]) -> Entry:
        """Keep a message of a room that has a history."""
        with self._lock:
            log = self._logs.get(room)
            if log is None:
                log = self._logs[room] = _Log(self._forgotten)
                self.size += _COST + len(room)
            else:
                self._logs.move_to_end(room)
            number = self._last = next(self._numbers)
            kept = _Kept(number, self._clock(), payload, is_text, exclude)
            log.kept.append(kept)
            self._order[number] = room
            self.size += _cost(kept)
            self._trim(room, log)
            while self.size > self._max_size and (self._order or self._logs):
                self._drop_oldest()
            return self._entry(room, kept)

    def read(self, room: str, since: str | None, max_count: int) -> Page:
        """Read what comes after an id."""
        with self._lock:
            log = self._logs.get(room)
            if log is not None:
                self._trim(room, log)
            if since is None:
                return self._page([], self._last, is_end=True, has_gap=False)
            number = self._parse(since)
            lost = self._forgotten if log is None else log.lost
            has_gap = number is None or number < lost
            kept = () if log is None else log.kept
            start = 0 if number is None else bisect.bisect(kept, number, key=_number)
            found = list(itertools.islice(kept, start, start + max_count + 1))
            entries = [self._entry(room, one) for one in found[:max_count]]
            is_end = len(found) <= max_count
            last = self._last if is_end else found[max_count - 1].number
            return self._page(entries, last, is_end=is_end, has_gap=has_gap)

    def read_last(self, room: str, since: str | None, max_count: int) -> list[KeptMessage]:
        """Read the last messages."""
        with self._lock:
            log = self._logs.get(room)
            if log is None:
                return []
            self._trim(room, log)
            start = 0 if since is None else self._parse(since) or 0
            found = [self._entry(room, kept).kept() for kept in log.kept if kept.number > start]
            return found[-max_count:]

    def _page(self, entries: list[Entry], last: int, *, is_end: bool, has_gap: bool) -> Page:
        return Page(entries, self._id(last), (last, 0), is_end, has_gap)

    def _entry(self, room: str, kept: _Kept) -> Entry:
        place: Place = (kept.number, 0)
        return Entry(room, kept.payload, kept.is_text, kept.exclude, self._id(kept.number), place)

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _parse(self, text: str) -> int | None:
        """Return the number of an id of this process; ``None`` for any other."""
        epoch, _, number = text.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit()) or len(number) > 20:
            return None
        return int(number) if int(number) <= self._last else None

    def _trim(self, room: str, log: _Log) -> None:
        span = self._span_of(room) or Span()
        oldest = -1.0 if span.seconds is None else self._clock() - span.seconds
        while log.kept and (len(log.kept) > span.max_count or log.kept[0].at < oldest):
            self._drop(log)

    def _drop(self, log: _Log) -> None:
        kept = log.kept.popleft()
        log.lost = kept.number
        del self._order[kept.number]
        self.size -= _cost(kept)

    def _drop_oldest(self) -> None:
        room, log = next(iter(self._logs.items()))
        if not log.kept and (len(self._logs) > _EMPTY or not self._order):
            del self._logs[room]
            self._forgotten = max(self._forgotten, log.lost)
            self.size -= _COST + len(room)
        else:
            self._drop(self._logs[next(iter(self._order.values()))])


def _cost(kept: _Kept) -> int:
    return _COST + len(kept.payload) + sum(map(len, kept.exclude))
