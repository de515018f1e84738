"""
Catching up: members that are to get what they have missed, and then what is published.

A member that joins *since* an id is **behind**: it reads the history, page by page, and what is
published meanwhile is not sent to it, since it will be found there. When it has come to the end it is
**live**: it gets what is published. The lock of the room is held for each of these steps, so that nothing
falls between them, and nothing comes twice. So who catches up costs no memory but a page, however much is
published and however slow it is: of the page it gets as much as there is room for, and the next when it has
taken that.

One thread reads for all. Those at the same place of a room share what was read.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from _thread import RLock  # also under gevent's monkey-patching: nobody waits for it
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from time import monotonic

from ..corks import Cork
from .alarms import Alarm, Alarms
from .cursors import Cursor, State
from .entries import PLAIN, Entry, Page, Place
from .fanout import Seat
from .history import Keeper
from .locks import Bell, RoomLocks
from .members import Receiver
from .outages import Complaints

__all__ = ["CatchUp"]

logger = logging.getLogger("ws4py_middleware")

#: Most messages that are read at once.
_PAGE = 256
#: Seconds after which a history that is away is asked again, and a thread without work ends.
_AGAIN = 0.2
_LONG = 1.0
_IDLE = 0.1
#: Members after which others may have their turn, where threads are greenlets.
_TURN = 16
#: Most messages that were delivered without an id, and are remembered as such.
_KEYS = 10_000
#: Seconds for which messages are told with their keys, when somebody has caught up.
_KEYS_TIME = 10.0


class Feed:
    """Where a room is, and who follows it with a cursor."""

    __slots__ = ("cursors", "id", "keys_until", "place")

    def __init__(self) -> None:
        #: The last message that was published, or where the history was when it began to be followed.
        self.id: str | None = None
        self.place: Place | None = None
        self.cursors: dict[Cursor, None] = {}
        #: Until when messages have their keys: somebody may bring some that it has heard elsewhere.
        self.keys_until = 0.0


class _Waker:
    """Lets a member read on, when there is room for more."""

    __slots__ = ("_add", "_cursor")

    def __init__(self, add: Callable[[Cursor], None], cursor: Cursor) -> None:
        self._add = add
        self._cursor = cursor

    def set(self) -> None:
        """Read on. It is called with the lock of a connection."""
        self._add(self._cursor)


class CatchUp:
    """
    The cursors of one process, and the thread that feeds them.

    Args:
        keeper: Has the histories; ``None``: no room has one.
        seats: Returns who is in a room.
    """

    def __init__(self, keeper: Keeper | None, seats: Callable[[str], list[Seat]]) -> None:
        self._keeper = keeper
        self._seats = seats
        self._locks = RoomLocks()
        self._complaints = Complaints(logger)
        self._feeds: dict[str, Feed] = {}
        self._at_once: OrderedDict[str, int] = OrderedDict()
        self._at_once_count = 0
        self._placed = threading.Condition()
        # The thread's.
        self._starting = RLock()
        self._is_running = False
        self._bell = Bell()
        self._new: deque[Cursor] = deque()
        self._unblocked: deque[Cursor] = deque()
        self._blocked = 0
        self._rooms: dict[str, dict[Cursor, None]] = {}
        self._alarms = Alarms()

    # --- members -------------------------------------------------------------------------

    def make_cursor(self, room: str, receiver: Receiver, style: int, since: str | None) -> Cursor | None:
        """Return a cursor for somebody who needs one; others get what is published, as it is."""
        keeper = self._keeper
        if style == PLAIN and (keeper is None or not keeper.keeps(room)):
            return None
        if style == PLAIN and keeper is not None and keeper.is_local and since is None:
            return None
        return Cursor(room, receiver, style, self._at_once_count)

    def begin(self, cursor: Cursor, since: str | None) -> None:
        """Let a member have what comes after an id, or from now on."""
        self._locks.call(cursor.room, functools.partial(self._begin, cursor, since))
        self._wake_if_due()

    def _begin(self, cursor: Cursor, since: str | None) -> None:
        if cursor.state is not State.WAITING:
            return
        room = cursor.room
        keeper = self._keeper
        if keeper is None or not keeper.keeps(room):
            cursor.begin_live(None)
            return
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = Feed()
            if keeper.is_local:
                page = keeper.read(room, None, 0)
                feed.id, feed.place = page.id, page.place
        feed.cursors[cursor] = None
        if cursor.style != PLAIN or since is not None:
            cursor.keep_oldest()
        cursor.has_since = since is not None
        cursor.fall_behind(since, None)
        if since is None and feed.place is not None:
            cursor.id = feed.id
            cursor.begin_live(feed.place)
        else:
            self._new.append(cursor)

    def end(self, cursor: Cursor) -> None:
        """Let a member have nothing any more."""
        self._locks.call(cursor.room, functools.partial(self._end, cursor))

    def _end(self, cursor: Cursor) -> None:
        cursor.end()
        feed = self._feeds.get(cursor.room)
        if feed is not None and cursor in feed.cursors:
            del feed.cursors[cursor]
            if not feed.cursors:
                del self._feeds[cursor.room]

    # --- messages ------------------------------------------------------------------------

    def publish(self, room: str, make: Callable[[], Entry]) -> int:
        """Keep a message and send it, so that all have them in one order; return how many members get it."""
        count = self._locks.call(room, lambda: self._deliver(make()))
        self._wake_if_due()
        return len(self._seats(room)) if count is None else count

    def deliver(self, entry: Entry) -> int:
        """Send a message to all in its room; return how many get it."""
        return self.publish(entry.room, lambda: entry)

    def _deliver(self, entry: Entry) -> int:
        before: tuple[str | None, Place | None] = (None, None)
        feed = self._feeds.get(entry.room)
        if feed is not None and entry.place is not None:
            if feed.place is None:
                self._begin_new(feed, None)
            before = feed.id, feed.place
            feed.id, feed.place = entry.id, entry.place
        number = self._note_key(entry)
        if number or (feed is not None and entry.key is not None and monotonic() < feed.keys_until):
            entry.tells_key = True
        return self._send(entry, number, before)

    def _send(self, entry: Entry, number: int, before: tuple[str | None, Place | None]) -> int:
        """Send a message to each in its room; number and before are what was known of it, and of the room."""
        count = 0
        exclude = entry.exclude
        for seat in self._seats(entry.room):
            member, receiver, cursor = seat.member, seat.receiver, seat.cursor
            if cursor is not None:
                count += self._give(cursor, entry, number, before)
            elif not (number or member.id in exclude):
                try:
                    count += bool(receiver.deliver(entry.shape(PLAIN)))
                except Exception:  # not a WebSocket's; one receiver's fault is not that of those behind it
                    logger.exception("a message could not be delivered to %r", receiver)
        return count

    def _note_key(self, entry: Entry) -> int:
        """Return whether some had it before it got its id, as the number that it had then; 0 for no."""
        key = entry.key
        if key is None:
            return 0
        if entry.id is not None:
            return self._at_once.get(key, 0)
        self._at_once_count += 1
        self._at_once[key] = self._at_once_count
        if len(self._at_once) > _KEYS:
            self._at_once.popitem(last=False)
        return 0

    def _give(
        self, cursor: Cursor, entry: Entry, number: int, before: tuple[str | None, Place | None]
    ) -> bool:
        if number and self._had(cursor, number):
            return False
        was_sent = cursor.take(entry)
        if was_sent or cursor.state is not State.LIVE or cursor.member_id in entry.exclude:
            return was_sent
        if before[1] is not None and cursor.receiver.is_open:
            # Its queue is full, and messages are dropped: it reads this one when there is room.
            cursor.fall_behind(*before)
            self._new.append(cursor)
        return False

    def _had(self, cursor: Cursor, number: int) -> bool:
        """Tell whether a member without keys has had what now has an id, or was not there then."""
        return cursor.style == PLAIN and not (cursor.has_since and number <= cursor.born)

    # --- a history that is away, and comes back --------------------------------------------

    def ready(self, room: str) -> None:
        """Note that all that is published to a room is heard from now on; it may not have been before."""
        self._locks.call(room, functools.partial(self._note_ready, room))
        self._wake_if_due()

    def _note_ready(self, room: str) -> None:
        feed = self._feeds.get(room)
        if feed is None:
            return
        for cursor in feed.cursors:
            if cursor.state is State.LIVE and feed.place is not None:
                is_ahead = cursor.place is not None and cursor.place > feed.place
                place = cursor.place if is_ahead else feed.place
                cursor.fall_behind(cursor.id if is_ahead else feed.id, place)
            self._new.append(cursor)

    def wait_placed(self, timeout: float) -> None:
        """Wait until it is known where those rooms are that can be read."""
        keeper = self._keeper
        if keeper is not None:
            with self._placed:
                self._placed.wait_for(lambda: not self._is_unplaced(keeper), timeout)

    def _is_unplaced(self, keeper: Keeper) -> bool:
        feeds = list(self._feeds.items())
        return any(feed.place is None and keeper.is_ready(room) for room, feed in feeds)

    # --- the thread ------------------------------------------------------------------------

    def call_later(self, when: float, function: Callable[[], object]) -> Alarm:
        """Call something at a point in time, monotonic."""
        alarm = self._alarms.add(when, function)
        self._wake()
        return alarm

    def _wake_if_due(self) -> None:
        """Let the thread see to who is behind; under no lock of a room, since its start has to wait."""
        if self._new and not self._locks.is_mine:
            self._wake()

    def _unblock(self, cursor: Cursor) -> None:
        # The thread is there: it does not end as long as anybody is blocked.
        self._unblocked.append(cursor)
        self._bell.ring()

    def _wake(self) -> None:
        if not self._is_running:
            with self._starting:
                is_running, self._is_running = self._is_running, True
            if not is_running:
                self._start_thread()
        self._bell.ring()

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._run, name="ws4py-hub-history", daemon=True).start()
        except RuntimeError as error:  # the system has no more, or the interpreter exits
            self._is_running = False
            text = "members cannot catch up: %s; it is tried again with the next message"
            self._complaints.tell("thread", text, error)

    def _run(self) -> None:
        pause = 0.0
        while True:
            has_rung = self._bell.wait(pause or self._alarms.delay(monotonic(), _IDLE))
            if pause:
                time.sleep(pause)
            self._take_in()
            pause = self._feed_all()
            if not (has_rung or self._rooms or self._blocked) and self._may_end():
                return

    def _may_end(self) -> bool:
        """Return whether there is nothing to come back to."""
        self._alarms.forget_idle()
        with self._starting:
            # Said before it looks: what was brought earlier is seen here, and who comes later starts another.
            self._is_running = False
            if self._alarms or self._new:
                self._is_running = True
            return not self._is_running

    def _take_in(self) -> None:
        """Take what has come since, and see to what is due."""
        while self._unblocked:
            self._blocked -= 1
            self._new.append(self._unblocked.popleft())
        while self._new:
            cursor = self._new.popleft()
            self._rooms.setdefault(cursor.room, {})[cursor] = None
        self._alarms.ring(monotonic())

    def _feed_all(self) -> float:
        """Feed all who can be fed, until there is nobody left; return how long to wait before going on."""
        while self._rooms:
            pauses = [self._try_room(room) for room in list(self._rooms)]
            self._take_in()
            if all(pauses):  # what one room has keeps no other one waiting
                return max(pauses)
        return 0.0

    def _try_room(self, room: str) -> float:
        """Feed those in a room with one page; return how long to wait if that cannot be done."""
        keeper = self._keeper
        try:
            # Where it is not ready, all are brought again by ready().
            if keeper is None or not keeper.is_ready(room) or not self._feed_room(keeper, room):
                del self._rooms[room]
        except ConnectionError as error:
            logger.debug("the history of the room %r is away: %s", room, error)
            return _AGAIN
        except Exception:
            logger.exception("the history of the room %r could not be read", room)
            return _LONG
        return 0.0

    def _feed_room(self, keeper: Keeper, room: str) -> bool:
        """Feed everybody in a room with one page; return whether somebody can take another one."""
        feed = self._feeds.get(room)
        if feed is None:
            return False
        if feed.place is None:
            self._place(room, feed, keeper.read(room, None, 0))
        groups: dict[str, list[Cursor]] = {}
        for cursor in list(self._rooms[room]):
            if cursor.state is State.BEHIND and cursor.id is not None:
                groups.setdefault(cursor.id, []).append(cursor)
            else:
                del self._rooms[room][cursor]
        # The oldest first, as far as that can be seen: others are somewhere on its page.
        for since in sorted(groups, key=lambda id: (len(id), id)):
            if since not in groups:
                continue
            known = feed.place
            page = keeper.read(room, since, _PAGE)
            self._check_place(room, feed, page, known)
            self._feed_group(feed, groups.pop(since), page, 0)
            for number, entry in enumerate(page.entries[:-1], 1):
                self._feed_group(feed, groups.pop(entry.id or "", ()), page, number)
        return bool(self._rooms[room])

    def _place(self, room: str, feed: Feed, page: Page) -> None:
        """Note where a room is, and let those begin there who want nothing of what was before."""

        def place() -> None:
            if feed.place is None:
                feed.id, feed.place = page.id, page.place
                self._begin_new(feed, page.place)

        self._locks.call(room, place)
        with self._placed:
            self._placed.notify_all()

    def _begin_new(self, feed: Feed, place: Place | None) -> None:
        for cursor in feed.cursors:
            if cursor.state is State.BEHIND and cursor.id is None:
                cursor.id = feed.id
                cursor.begin_live(place)

    def _check_place(self, room: str, feed: Feed, page: Page, known: Place | None) -> None:
        """Note a history that has begun anew: it ends before what was published in it."""

        def begin_anew() -> None:
            if feed.place == known:
                feed.id, feed.place = page.id, page.place

        if page.is_end and known is not None and page.place < known:
            self._locks.call(room, begin_anew)

    def _feed_group(self, feed: Feed, cursors: Iterable[Cursor], page: Page, start: int) -> None:
        some = iter(cursors)
        while turn := list(itertools.islice(some, _TURN)):
            with Cork():
                for cursor in turn:
                    feed_one = functools.partial(self._feed, feed, cursor, page, start)
                    if not self._locks.call(cursor.room, feed_one):
                        del self._rooms[cursor.room][cursor]
            time.sleep(0)

    def _feed(self, feed: Feed, cursor: Cursor, page: Page, start: int) -> bool:
        """Feed one with what it takes of a page; return whether it can take another one."""
        if cursor.state is not State.BEHIND or not cursor.receiver.is_open:
            return False  # who is gone leaves by itself, and takes nothing
        waker = _Waker(self._unblock, cursor)
        entries = page.entries[start:]
        if (entries or page.has_gap) and not cursor.has_room(waker):
            self._blocked += 1
            return False
        if page.has_gap and not start:
            cursor.tell(gap=True)
        for number, entry in enumerate(entries):
            if number and not cursor.has_room(waker):
                self._blocked += 1
                return False
            had = 0 if entry.key is None else self._at_once.get(entry.key, 0)
            if not (had and self._had(cursor, had)):
                cursor.pass_on(entry)
            cursor.id, cursor.place = entry.id, entry.place
        if not page.is_end:
            return True
        cursor.id, cursor.place = page.id, page.place
        if feed.place is not None and page.place < feed.place:
            return True  # something was published since it was read
        cursor.begin_live(page.place)
        feed.keys_until = monotonic() + _KEYS_TIME
        return False
