"""Histories in Redis: what is sent to keep a message, what was heard of it, and how it is read."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .backlog import Item
from .backplane import Envelope
from .entries import Entry, KeptMessage, Page, parse_place
from .outages import Complaints
from .parcels import Parcel, mark_late, renumber, unpack_parcel
from .presence import Command
from .redis_options import Options
from .redis_scripts import READ, WRITE, WRITE_SHA
from .spans import Span
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Echoes", "KeptItem", "KeptRooms", "RedisHistory", "make_key", "make_rooms"]

#: Most bytes that are read at once; one message more may come.
_PAGE_SIZE = 1_048_576
_LAST_SIZE = 8 * 1_048_576
#: Seconds after which a message that was not heard of is delivered here without an id.
_LATE = 1.0
#: Milliseconds for which it is remembered what a process has sent.
_REMEMBERED = 86_400_000


def make_key(origin: bytes, number: int) -> str:
    """Return what a message is known by as long as it has no id."""
    return f"{origin.hex()}-{number}"


class KeptItem(Item):
    """A message on its way to a room that keeps it."""

    __slots__ = ("_args", "_is_late", "_keys", "number")

    def __init__(
        self, channel: bytes, wire: bytes, number: int, keys: tuple[bytes, ...], span: Span, stay: int
    ):
        super().__init__(channel, wire)
        self.number = number
        self._is_late = False
        self._keys = keys
        window = "" if span.seconds is None else str(int(1000 * span.seconds))
        expiry = int(window or stay)
        self._args = (span.max_count, window, expiry, expiry + stay, _REMEMBERED)

    def command(self) -> Command:
        """Return what keeps it and publishes it, unless that was done before."""
        if self._is_late:
            # The Redis may have it, and only its answer got lost; and may have forgotten the script since.
            return ("EVAL", WRITE, 3, *self._keys, *self._rest(b"0"))
        return ("EVALSHA", WRITE_SHA, 3, *self._keys, *self._rest(b"0"))

    def command_again(self) -> Command:
        """Return the same for a Redis that does not know the script, and has not done it."""
        return ("EVAL", WRITE, 3, *self._keys, *self._rest(b"1"))

    def command_plain(self, number: int) -> Command:
        """Return what only publishes it, for a Redis that has refused to keep it."""
        return ("PUBLISH", self.channel, renumber(self.wire, number))

    def mark_late(self) -> None:
        """Note that members of this process get it before it is sent, at least this time."""
        self._is_late = True
        self.wire = mark_late(self.wire)

    def _rest(self, force: bytes) -> tuple[str | bytes | int, ...]:
        return (self.number, force, self.wire, self.channel, *self._args)


class _Unheard(NamedTuple):
    at: float
    envelope: Envelope


class Echoes:
    """
    The messages of this process that come back with their ids, and are then delivered.

    Those that do not come back in time, since the Redis is away or slow, are delivered without one.

    Args:
        lock: Guards this.
    """

    def __init__(self, lock: Any, origin: bytes, deliver: Callable[[Envelope], object]) -> None:
        self._lock = lock
        self._origin = origin
        self._deliver = deliver
        self._unheard: OrderedDict[int, _Unheard] = OrderedDict()
        # Those of them that are in the history: who has not heard them finds them there.
        self._kept: set[int] = set()
        self._turns = Turns(lock)
        #: Whether they do not come back: others are not waited for.
        self.is_late = False

    def expect(self, number: int, envelope: Envelope) -> None:
        """Note a message that is about to be sent."""
        with self._lock:
            envelope = replace(envelope, key=make_key(self._origin, number))
            self._unheard[number] = _Unheard(time.monotonic(), envelope)

    def hear(self, number: int, envelope: Envelope) -> None:
        """Deliver a message of this process that has come back."""
        with self._lock:
            self.is_late = False
            # Those who have it without an id, or are just getting it, get it once more behind that.
            is_new = self._unheard.pop(number, None) is not None
            self._kept.discard(number)
            is_mine = is_new or self._turns.add("", functools.partial(self._deliver, envelope))
        if is_new:
            self._deliver(envelope)
        elif is_mine:
            self._turns.run("")

    def note_kept(self, numbers: Iterable[int]) -> None:
        """Note that messages have an id, so that nobody gets them without one."""
        with self._lock:
            self._kept.update(number for number in numbers if number in self._unheard)

    def give_up(self, numbers: Iterable[int] | None = None) -> None:
        """Deliver messages without an id, the oldest first, but those that have one; by default all."""
        with self._lock:
            wanted = list(self._unheard) if numbers is None else list(numbers)
            for number in self._kept.intersection(wanted):
                self._kept.remove(number)
                del self._unheard[number]
            found = [self._unheard.pop(number, None) for number in wanted]
            is_mine = False
            for one in found:
                if one is not None:
                    is_mine |= self._turns.add("", functools.partial(self._deliver, one.envelope))
        if is_mine:
            self._turns.run("")

    def forget(self, room: str) -> None:
        """Expect no messages of a room: nobody is there any more."""
        with self._lock:
            for number in [number for number, one in self._unheard.items() if one.envelope.room == room]:
                del self._unheard[number]
                self._kept.discard(number)

    def check(self) -> None:
        """Deliver without an id what has waited for too long."""
        with self._lock:
            oldest = next(iter(self._unheard.values()), None)
            if oldest is None or time.monotonic() - oldest.at < _LATE:
                return
            self.is_late = True
        self.give_up()


class KeptRooms:
    """
    What a session has of rooms with a history.

    Args:
        ready: Is called with a room when all that is published to it from now on is heard.
        wait_placed: Waits until it is known where those rooms are, at most so many seconds.
    """

    def __init__(
        self,
        history: RedisHistory,
        echoes: Echoes,
        ready: Callable[[str], object],
        wait_placed: Callable[[float], object],
    ) -> None:
        self.history = history
        self.echoes = echoes
        self.wait_placed = wait_placed
        self._ready = ready

    def ready(self, room: str) -> None:
        """Note that a room is subscribed to."""
        self.echoes.is_late = False
        if self.history.keeps(room):
            self._ready(room)

    def lose(self) -> None:
        """Note that nothing comes back for now."""
        self.echoes.is_late = True
        self.echoes.give_up()

    def mend(
        self,
        ask: Callable[[list[Command]], list[Any]],
        items: list[Item],
        answers: list[Any],
        numbers: Iterator[int],
    ) -> list[Any]:
        """
        See to messages that were not kept: by a Redis without the script, or one that keeps nothing more.

        Args:
            answers: To all items, and changed here into what is true then.

        Returns:
            Why something was not kept.
        """
        from redis.exceptions import NoScriptError

        kept = [(at, item) for at, item in enumerate(items) if isinstance(item, KeptItem)]
        again = [(at, item) for at, item in kept if isinstance(answers[at], NoScriptError)]
        if again:
            for (at, _), answer in zip(again, ask([item.command_again() for _, item in again]), strict=True):
                answers[at] = answer
        refused = [(at, item) for at, item in kept if isinstance(answers[at], Exception)]
        self.echoes.note_kept(item.number for at, item in kept if not isinstance(answers[at], Exception))
        errors = [answers[at] for at, _ in refused]
        if refused:
            plain = ask([item.command_plain(next(numbers)) for _, item in refused])
            for (at, _), answer in zip(refused, plain, strict=True):
                answers[at] = answer
            self.echoes.give_up(item.number for _, item in refused)
        return errors


def make_rooms(
    options: Options,
    span_of: Callable[[str], Span | None],
    deliver: Callable[[Envelope], object],
    follow: tuple[Callable[[str], object], Callable[[float], object]],
    lock: Any,
    origin: bytes,
    complaints: Complaints,
) -> KeptRooms:
    """Make what a session has of rooms with a history."""
    history = RedisHistory(options, span_of, complaints)
    return KeptRooms(history, Echoes(lock, origin, deliver), *follow)


class RedisHistory:
    """
    Reads the histories of rooms.

    Args:
        span_of: How much is kept of a room.
    """

    is_local = False

    def __init__(
        self, options: Options, span_of: Callable[[str], Span | None], complaints: Complaints
    ) -> None:
        self._options = options
        self._keys = options.keys
        self._span_of = span_of
        self._complaints = complaints
        self._client = options.make_client(timeout=options.publish_timeout)
        self._read_script = self._client.register_script(READ)
        self._lock = threading.RLock()
        self._is_closed = False
        #: How many entries were no messages.
        self.malformed = 0

    def close(self) -> None:
        """End its connections; whoever reads at this moment is told that it is away."""
        self._is_closed = True
        self._client.connection_pool.disconnect()

    def keeps(self, room: str) -> bool:
        """Return whether a room has a history."""
        return self._span_of(room) is not None

    def make_item(self, parcel: Parcel, room: str, wire: bytes) -> KeptItem | None:
        """Return what is to be sent; ``None`` when the room keeps nothing."""
        span = self._span_of(room)
        if span is None:
            return None
        keys = (*self._names(room), self._keys.sent(parcel.origin))
        return KeptItem(self._keys.channel(room), wire, parcel.number, keys, span, self._stay)

    def read(self, room: str, since: str | None, max_count: int) -> Page:
        """Read what comes after an id."""
        if since is None:
            last, found, is_end = self._ask(room, "", 0)
            return self._page(room, last, found, is_end, has_gap=False)
        place = parse_place(since)
        last, found, is_end = self._ask(room, "-" if place is None else since, max_count)
        # Each names the one before. An id that none of them names was dropped; or the Redis has lost what it
        # had not written to its disk, and what it has is older than that id.
        before = _field(found[0], b"p") if found else last.encode()
        return self._page(room, last, found, is_end, has_gap=before != since.encode())

    def read_last(self, room: str, since: str | None, max_count: int) -> list[KeptMessage]:
        """Read the last messages."""
        start = since if since is not None and parse_place(since) else "-"
        found = self._ask(room, start, max_count, _LAST_SIZE, from_end=True)[1]
        return [entry.kept() for entry in self._entries(room, reversed(found))]

    def _ask(
        self, room: str, start: str, max_count: int, max_size: int = _PAGE_SIZE, *, from_end: bool = False
    ) -> tuple[str, list[Any], bool]:
        span = self._span_of(room) or Span()
        window = "" if span.seconds is None else int(1000 * span.seconds)
        keep = int(window or self._stay) + self._stay
        args = (start, max_count, max_size, window, keep, "1" if from_end else "")
        try:
            last, found, is_end = self._read_script(keys=list(self._names(room)), args=args)
            return last.decode(), found, bool(is_end)
        except Exception as error:  # also of redis-py: at what is no answer, and at the end of its pool
            where = self._options.where
            if not self._is_closed:
                self._complaints.tell("history", "a history could not be read at %s: %s", where, error)
            raise ConnectionError(f"the history could not be read at {where}: {error}") from error

    def _page(self, room: str, last: str, found: list[Any], is_end: bool, *, has_gap: bool) -> Page:
        id = last if is_end or not found else found[-1][0].decode()
        return Page(self._entries(room, found), id, parse_place(id) or (0, 0), is_end, has_gap)

    def _entries(self, room: str, found: Iterable[Any]) -> list[Entry]:
        entries = []
        for one in found:
            try:
                parcel = unpack_parcel(_field(one, b"m"), self._options.max_message_size)
            except ValueError as error:
                with self._lock:
                    self.malformed += 1
                self._complaints.tell(
                    "malformed", "something in the history of the room %r is no message: %s", room, error
                )
                continue
            id = one[0].decode()
            key = make_key(parcel.origin, parcel.number)
            entry = Entry(
                room, parcel.payload, parcel.is_text, parcel.exclude, id, parse_place(id), key, tells_key=True
            )
            entries.append(entry)
        return entries

    def _names(self, room: str) -> tuple[bytes, bytes]:
        return self._keys.history(room), self._keys.last(room)

    @property
    def _stay(self) -> int:
        return int(1000 * self._options.history_timeout)


def _field(entry: Any, name: bytes) -> bytes:
    """Return a field of an entry of a stream; whoever may write to the Redis may have made it."""
    fields = entry[1] or []
    found = dict(zip(fields[::2], fields[1::2], strict=False)).get(name, b"")
    return bytes(found)
