"""One process's part in the rooms of all: what it tells the Redis, and what it wants to hear."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .backlog import Backlog, Item
from .backplane import Envelope
from .outages import Bell, Complaints, Delays, keep_connected
from .parcels import ORIGIN_SIZE, Parcel, pack_parcel
from .presence import Command, Presence, read_members
from .reaping import Reaper, Vanished
from .redis_history import KeptItem, KeptRooms
from .redis_listener import Listener
from .redis_options import Options

__all__ = ["Session"]

logger = logging.getLogger("ws4py_middleware")

#: Most messages, bytes and changes that are sent before an answer is awaited.
_BATCH = 256
_BATCH_SIZE = 1_048_576
_CHANGES = 500
#: Seconds for which messages are held after an outage, so that others have subscribed again before they come.
_HOLD = 0.5
#: Seconds that a Redis which is well takes at most to take messages, and to tell who is in a room.
_BRIEF = 0.2
_LONG = 0.5
#: Seconds for saying good-bye, when there is nothing else to say.
_PATIENCE = 0.5


class Session:
    """
    The threads, connections and queues of one backplane in one process.

    One thread sends: messages, who comes and goes, and that this process is alive. Another one, the
    :class:`~.Listener`, hears. All methods but :meth:`wait` and :meth:`members` only take notes for them.
    """

    def __init__(
        self,
        options: Options,
        deliver: Callable[[Envelope], object],
        vanished: Vanished,
        make_kept: Callable[[Any, bytes, Complaints], KeptRooms] | None = None,
    ) -> None:
        self.pid = os.getpid()
        self._options = options
        self._keys = options.keys
        self._origin = secrets.token_bytes(ORIGIN_SIZE)
        self._control = self._keys.control(self._origin)
        self._lock = threading.RLock()  # for all that follows; reentrant for the handlers of signals
        self._work = threading.Condition(self._lock)  # for the sender
        self._settled = threading.Condition(self._lock)  # for those who wait until something is sent
        self._backlog = Backlog(options.max_queue, options.max_queue_size)
        self._presence = Presence(self._keys, self._origin, options.presence_timeout)
        self._numbers = itertools.count(1)
        self._wake = False  # the listener has something new to subscribe to
        self._is_waking = False  # it was told, and may not have done it yet
        self._is_sending = False
        self._is_away = False
        self._is_doubtful = False  # whether it is, is to be asked at once
        self._hold_until = 0.0
        # Whether somebody has waited in vain for it: until the next answer, others do not.
        self._answers = 0
        self._is_stuck = False
        self._is_silent = False
        self._deadline: float | None = None  # set when it ends
        self._figures = dict.fromkeys(("sent", "refused", "malformed_members", "outages"), 0)
        self._complaints = Complaints(logger)
        self._reader = options.make_client(timeout=_LONG)
        self._reaper = Reaper(options, self._origin, self._rooms, vanished, self._complaints)
        self._connection: Any = None  # the sender's
        self._bell = Bell()
        #: What there is of histories.
        self.kept = None if make_kept is None else make_kept(self._lock, self._origin, self._complaints)
        self._listener = Listener(
            options, self._origin, deliver, self._complaints, self._bell, self._doubt, self.kept
        )
        self._sender = threading.Thread(target=self._send, name="ws4py-hub-sender", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._listener.start()
        self._sender.start()

    def close(self) -> None:
        """Send what there still is, as long as that is allowed to take, and end."""
        timeout = self._options.publish_timeout
        with self._lock:
            self._deadline = time.monotonic() + timeout
            self._work.notify()
            patience = timeout if self._backlog else min(timeout, _PATIENCE)
        self._reaper.end()
        self._listener.end()  # which rings the bell
        self._sender.join(patience)
        with self._lock:
            self._backlog.clear()
            self._settled.notify_all()
        self._reader.connection_pool.disconnect()
        if self.kept is not None:
            self.kept.history.close()

    def hears(self, room: str) -> bool:
        """Return whether a room is subscribed to."""
        return self._listener.is_subscribed(self._keys.channel(room))

    @property
    def is_connected(self) -> bool:
        """Whether messages go out and come in."""
        return self._is_sending and self._listener.is_listening

    def stats(self) -> dict[str, int]:
        """Return the figures, as :meth:`.RedisBackplane.stats` explains them."""
        heard = self._listener.figures
        with self._lock:
            figures = dict(self._figures)
            queue = {
                "queued": len(self._backlog),
                "queued_bytes": self._backlog.size,
                "dropped": self._backlog.dropped,
            }
        figures["malformed"] = heard["malformed"] + figures.pop("malformed_members")
        if self.kept is not None:
            figures["malformed"] += self.kept.history.malformed
        figures["outages"] = max(figures["outages"], heard["outages"])  # each of the two has a connection
        return {
            **figures,
            **queue,
            "received": heard["received"],
            "repeated": heard["repeated"],
            "rooms": heard["rooms"],
        }

    # --- messages ------------------------------------------------------------------------

    def add(
        self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...], *, within: float | None
    ) -> Item:
        """
        Note a message to be sent.

        Args:
            within: Seconds to wait until there is room for it; ``None`` to drop others instead.

        Raises:
            ConnectionError: There was no room.
        """
        with self._lock:
            item = self._pack(room, payload, is_text, exclude)
            if not self._backlog.has_room(item):
                # Whoever is faster than a Redis that is well is slowed down; others need not suffer from it.
                while not self._backlog.has_room(item) and self._is_taking():
                    count = self._answers
                    self._settled.wait(_BRIEF)
                    self._is_stuck = count == self._answers
                has_room = self._settled.wait_for(lambda: self._backlog.has_room(item), within or 0.0)
                if within is not None and not has_room:
                    raise ConnectionError(self._explain("too much waits to be sent"))
                item = self._pack(room, payload, is_text, exclude)  # numbers go as the messages do
            dropped = self._backlog.dropped
            is_late = self._expect(item, Envelope(room, payload, is_text, exclude))
            self._backlog.add(item)
            dropped = self._backlog.dropped - dropped
            self._work.notify()
        if self.kept is not None and (is_late or dropped):
            self.kept.echoes.give_up()
        if dropped:
            self._complaints.tell(
                "dropped", "messages for other processes are dropped: %s", self._explain("too many wait")
            )
        return item

    def _pack(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...]) -> Item:
        parcel = Parcel(self._origin, next(self._numbers), payload, is_text, exclude)
        wire = pack_parcel(parcel)
        item = None if self.kept is None else self.kept.history.make_item(parcel, room, wire)
        return item or Item(self._keys.channel(room), wire)

    def _expect(self, item: Item, envelope: Envelope) -> bool:
        """Note a message that comes back; return whether its members here are not to wait for that."""
        if self.kept is None or not isinstance(item, KeptItem) or not self._listener.wants(item.channel):
            return False
        echoes = self.kept.echoes
        echoes.expect(item.number, envelope)
        is_late = self._is_away or echoes.is_late
        if is_late:
            item.mark_late()
        return is_late

    def deliver_here(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...]) -> None:
        """Deliver a message to the members of this process that is not sent, if nobody else does."""
        if self.kept is not None and self.kept.history.keeps(room):
            number = next(self._numbers)
            self.kept.echoes.expect(number, Envelope(room, payload, is_text, exclude))
            self.kept.echoes.give_up([number])

    def _is_taking(self) -> bool:
        """Return whether the Redis is thought to take what it is given."""
        return not (self._is_away or self._is_stuck) and self._may_send(time.monotonic())

    def check_here(self) -> None:
        """Raise :exc:`ConnectionError` when the Redis is known to be away."""
        if self._is_away:
            raise ConnectionError(self._explain("the message was not kept"))

    def wait(self, item: Item, timeout: float) -> None:
        """
        Wait until a message was sent.

        Raises:
            ConnectionError: It was not. When it was under way just then it may arrive nevertheless.
        """
        with self._lock:
            self._settled.wait_for(lambda: item.fate is not None, timeout)
            if item.fate is None:
                self._backlog.remove(item)
        if not item.fate:
            if self.kept is not None and isinstance(item, KeptItem):
                self.kept.echoes.give_up([item.number])
            raise ConnectionError(self._explain(f"the message was not taken within {timeout:g} s"))

    def _explain(self, what: str) -> str:
        state = "is away" if self._is_away else "is slow" if self._is_sending else "is not connected yet"
        return f"{what}; the Redis at {self._options.where} {state}"

    # --- rooms ---------------------------------------------------------------------------

    def subscribe(self, room: str) -> None:
        """Note that messages of a room are wanted."""
        self._listener.want(self._keys.channel(room), room)
        self._wake_listener()

    def unsubscribe(self, room: str) -> None:
        """Note that they are wanted no more."""
        self._listener.forget(self._keys.channel(room))
        if self.kept is not None:
            self.kept.echoes.forget(room)
        self._wake_listener()

    def _wake_listener(self) -> None:
        # By a message, since only its own thread may touch its connection.
        with self._lock:
            self._wake = True
            self._work.notify()

    def enter(self, room: str, member_id: str, info: Mapping[str, Any]) -> None:
        """Note that somebody is in a room."""
        with self._lock:
            self._presence.enter(room, member_id, info)
            self._work.notify()

    def exit(self, room: str, member_id: str) -> None:
        """Note that somebody has left it."""
        with self._lock:
            self._presence.exit(room, member_id)
            self._work.notify()

    def _rooms(self) -> list[str]:
        with self._lock:
            return self._presence.rooms()

    def members(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        """Ask the Redis who else is in a room."""
        from redis.exceptions import RedisError

        if self._is_away or self._is_silent:
            return {}
        try:
            found = read_members(self._reader, self._keys, room, self._origin)
        except (RedisError, OSError, ValueError, TypeError, RecursionError) as error:  # or no answer at all
            self._is_silent = True
            self._doubt()
            self._complaints.tell(
                "members",
                "who else is in a room could not be found out at %s: %s",
                self._options.where,
                error,
            )
            return {}
        if found.malformed:
            with self._lock:
                self._figures["malformed_members"] += found.malformed
            self._complaints.tell("malformed members", "%d members of a room make no sense", found.malformed)
        return found.members

    # --- the thread that sends -----------------------------------------------------------

    def _send(self) -> None:
        keep_connected(self._connect, self._lose, self._pause)

    def _connect(self, is_back: Callable[[], None]) -> None:
        # The same for all attempts: to make one takes longer than to find out that nobody is there.
        connection = self._connection = self._connection or self._options.make_pool().make_connection()
        try:
            connection.connect()
            self._begin(connection)
            is_back()
            self._bell.ring()
            self._serve(connection)
        finally:
            connection.disconnect()

    def _note_answer(self) -> None:
        self._answers += 1
        self._is_stuck = self._is_silent = False

    def _doubt(self) -> None:
        """Ask at once whether the Redis is there: the listener has lost it."""
        with self._lock:
            self._is_doubtful = True
            self._work.notify()
        if self.kept is not None:
            self.kept.lose()

    def _pause(self, delay: float) -> bool:
        if self._deadline is None:
            self._bell.wait(delay)
        else:
            time.sleep(min(delay, Delays.FIRST))
        return self._deadline is None or bool(self._backlog and time.monotonic() < self._deadline)

    def _lose(self, why: str) -> None:
        with self._lock:
            self._figures["outages"] += self._is_sending
            self._is_sending = False
            self._is_away = True
            self._wake = True  # whoever was woken may not have heard it
            self._backlog.put_back()
            self._presence.end()
            for item in self._backlog:
                if isinstance(item, KeptItem):
                    item.mark_late()
        if self.kept is not None:
            self.kept.lose()
        self._reaper.lose(time.monotonic())
        if self._deadline is None:
            text = "the Redis at %s is away; members in this process get messages as before: %s"
            self._complaints.tell("away", text, self._options.where, why)

    def _begin(self, connection: Any) -> None:
        """Tell the Redis of this process, and so see whether it is really there."""
        with self._lock:
            self._presence.begin()
        answers = _ask(connection, self._presence.beginning() + self._presence.beat())
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        for error in errors:
            if not _is_bearable(error):
                raise error
        with self._lock:
            was_away, self._is_away, self._is_sending = self._is_away, False, True
            self._note_answer()
            self._presence.begun(answers)
            self._hold_until = time.monotonic() + (_HOLD if was_away else 0.0)
        self._reaper.wait(time.monotonic())
        if was_away:
            logger.info("the Redis at %s is back", self._options.where)
        self._complain(errors)

    def _serve(self, connection: Any) -> None:
        """Send what there is to send, until the end of this hub or of the connection."""
        interval = self._options.presence_timeout / 3
        beat_at = time.monotonic() + interval
        while True:
            with self._lock:
                now = time.monotonic()
                due_at = min(beat_at, self._hold_until) if self._hold_until > now else beat_at
                self._work.wait_for(self._has_work, max(0.0, due_at - now))
                now = time.monotonic()
                is_due = self._is_doubtful or now >= beat_at
                self._is_doubtful = False
                items = self._backlog.take(_BATCH, _BATCH_SIZE) if self._may_send(now) else []
                commands = self._collect(is_due, now)
                if self._deadline is not None and not (items or commands):
                    break
            self._exchange(connection, commands, items, is_due)
            if is_due:
                beat_at = now + interval
        _ask(connection, [*self._presence.ending(), ("PUBLISH", self._control, b"")])

    def _collect(self, is_due: bool, now: float) -> list[Command]:
        """Return what is to be told beside messages."""
        commands = self._presence.beat() if is_due else []
        commands += self._presence.changing(self._presence.take(_CHANGES))
        if is_due:
            commands += self._presence.refreshing(self._presence.needs_refreshing(now))
        if self._wake:
            self._wake = False
            self._is_waking = True
            commands.append(("PUBLISH", self._control, b""))
        return commands

    def _has_work(self) -> bool:
        if self._presence or self._wake or self._is_doubtful or self._deadline is not None:
            return True
        return bool(self._backlog) and self._may_send(time.monotonic())

    def _may_send(self, now: float) -> bool:
        return now >= self._hold_until or self._deadline is not None

    def _exchange(self, connection: Any, commands: list[Command], items: list[Item], is_due: bool) -> None:
        """Send all of it, and see what came of it."""
        messages: list[Command] = [item.command() for item in items]
        answers: list[Any] = []
        if items and self._is_waking:  # who joins a room, and says so there, hears what others say to that
            answers = _ask(connection, commands)
            self._is_waking = False
            # It may have been started with the first room, a moment ago.
            self._listener.wait_current(_BRIEF if self._listener.is_listening else _LONG)
            if self.kept is not None:
                self.kept.wait_placed(_BRIEF)
            answers += _ask(connection, messages)
        else:
            answers = _ask(connection, commands + messages)
        errors = [answer for answer in answers[: len(commands)] if isinstance(answer, Exception)]
        sent = answers[len(commands) :]
        if self.kept is not None:
            errors += self.kept.mend(functools.partial(_ask, connection), items, sent, self._numbers)
        errors += [answer for answer in sent if isinstance(answer, Exception)]
        fates = [not isinstance(answer, Exception) for answer in sent]
        with self._lock:
            self._note_answer()
            self._backlog.settle(fates)
            self._figures["sent"] += sum(fates)
            self._figures["refused"] += len(fates) - sum(fates)
            is_alive = self._presence.note(answers[: len(commands)], is_beat=is_due)
            if items:
                self._settled.notify_all()
        self._complain(errors)
        if not is_alive:
            self._reaper.wait(time.monotonic())
        elif is_due:
            self._reaper.look(functools.partial(_ask, connection), time.monotonic())

    def _complain(self, errors: list[Any]) -> None:
        if errors:
            self._complaints.tell(
                "refused", "the Redis at %s has refused: %s", self._options.where, errors[0]
            )


def _is_bearable(error: Exception) -> bool:
    """Return whether messages go on nevertheless: it costs presence, since Redis can keep nothing of it."""
    from redis.exceptions import OutOfMemoryError

    if isinstance(error, OutOfMemoryError) or str(error).startswith("WRONGTYPE"):
        return True
    return "'time' command" in str(error)  # it may not be asked for, and one's own clock has to do


def _ask(connection: Any, commands: list[Command]) -> list[Any]:
    """Send commands at once, and return the answers; an error that answers one of them is an answer, too."""
    from redis.exceptions import ResponseError

    connection.send_packed_command(connection.pack_commands(commands))
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers
