"""The hub: who gets what is published."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
from _thread import RLock  # also under gevent's monkey-patching: it is never held while anybody waits
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, TypeVar, cast

from ..core.prepared import PreparedMessage
from ..core.types import Buffer
from ..messaging import Message
from .backplane import Backplane, Envelope
from .catchup import CatchUp
from .entries import BARE, MARKED, PLAIN, KeptMessage, make_entry
from .fanout import Seat, fan_out
from .history import Keeper, KeepingBackplane, MemoryHistory
from .members import Member, Receiver, check_info, check_room, make_id
from .messages import prepare
from .replay import Replay
from .spans import History, parse_history
from .table import Exit, RoomTable
from .turns import Turns

__all__ = ["Hub"]

logger = logging.getLogger("ws4py_middleware")

#: What is called when somebody has joined or left: with the room, and the member.
Callback = Callable[[str, Member], object]
_Callback = TypeVar("_Callback", bound=Callback)


class _Here:
    """What a hub has in one process."""

    __slots__ = (
        "catchup",
        "errands",
        "is_starting",
        "kept",
        "lock",
        "started",
        "starting",
        "table",
        "tellings",
    )

    def __init__(self, keeper: Keeper | None, kept: MemoryHistory | None) -> None:
        # Reentrant for the handlers of signals, which interrupt whoever holds it. It is held while the table
        # and the turns change, and never while anything is sent or called.
        self.lock: Any = RLock()
        self.table = RoomTable()
        self.errands = Turns(self.lock)  # for the backplane
        self.tellings = Turns(self.lock)  # for the callbacks, which may take longer
        self.starting = threading.RLock()
        self.is_starting = False
        self.started = False
        #: The histories, where they are kept in this process.
        self.kept = kept
        self.catchup = CatchUp(keeper or kept, self.seats)

    def seats(self, room: str) -> list[Seat]:
        """Return who is in a room."""
        with self.lock:
            return self.table.seats(room)


class Hub:
    """
    Rooms. Safe from any thread, greenlet or task; nothing here waits for a peer.

    A forked child has the same hub without its parent's members.

    Args:
        backplane: What connects it with the hubs of other processes, or the address of a Redis that does,
            such as ``redis://localhost:6379/0``; ``None`` for the rooms of this one.
        history: How much of each room is kept for those who come back: a number of messages, a time such
            as ``"5 min"``, or a callable that is given a room and returns one of these, or ``None``.
    """

    #: Most rooms that one member may be in: it may be the peer who asks for them.
    max_rooms: int = 1000
    #: Most bytes of all histories that are kept in the process; the oldest messages go first.
    max_history_size: int = 8 * 1_048_576

    def __init__(self, backplane: Backplane | str | None = None, *, history: History | None = None) -> None:
        span_of = None if history is None else parse_history(history)
        if isinstance(backplane, str):
            from .redis import RedisBackplane  # it needs an extra

            backplane = RedisBackplane(backplane)
        self._backplane = backplane
        self._span_of = span_of
        #: A backplane that has the histories.
        self._keeper: KeepingBackplane | None = None
        if hasattr(backplane, "keep"):
            self._keeper = cast("KeepingBackplane", backplane)
        if backplane is not None and span_of is not None:
            if self._keeper is None:
                raise TypeError(f"{type(backplane).__name__} keeps no history")
            self._keeper.keep(span_of)
        self._processes: dict[int, _Here] = {}
        self._on_joined: tuple[Callback, ...] = ()
        self._on_left: tuple[Callback, ...] = ()

    # --- coming and going ----------------------------------------------------------------

    def join(
        self,
        receiver: Receiver,
        room: str,
        info: Mapping[str, Any] | None = None,
        *,
        since: str | None = None,
        envelope: bool = False,
    ) -> Member:
        """
        Let somebody have what is published to a room; again does nothing but change the info.

        What is published after this gets there, what was published before does not; what is published at
        the same time gets there whole, or not at all.

        Args:
            room: 1 to 200 characters.
            info: What others are to know of this member, such as its name: what JSON has a notation
                for, at most 1 KiB. ``None`` is nothing, or what it was.
            since: In a room with a history, the id of a message: what came after it comes first. It is
                read elsewhere, and nobody waits for it here.
            envelope: Send messages as JSON objects with their ids.

        Returns:
            The member. When the connection has ended, or is about to, nobody comes in, and it is one that
            is in no room: the peer may be gone at any time, and whoever joins need not know.

        Raises:
            TypeError, ValueError: The room's name, or the info, is not as said here.
            PolicyViolation: It is in :attr:`max_rooms` rooms already.
        """
        check_room(room)
        known = None if info is None else check_info(info)
        if _has_ended(receiver):
            return Member(make_id(), known or {}, receiver)
        here = self._ready()
        backplane = self._backplane
        runs: list[Turns] = []
        replay: Replay | None = getattr(receiver, "_resuming", None)
        style = MARKED if replay is not None else BARE if envelope else PLAIN
        cursor = here.catchup.make_cursor(room, receiver, style, since)
        with here.lock:
            member, is_new, is_first = here.table.join(receiver, room, known, self.max_rooms, cursor)
            if backplane is not None and here.started:
                if is_first:
                    _add(runs, here.errands, room, functools.partial(backplane.subscribe, room))
                if is_new or known is not None:
                    enter = functools.partial(backplane.enter, room, member.id, member.info)
                    _add(runs, here.errands, room, enter)
            if is_new:
                for callback in self._on_joined:
                    call = functools.partial(_tell, callback, room, member, receiver)
                    _add(runs, here.tellings, room, call)
        if is_new and cursor is not None:
            if replay is not None:
                replay.enter(here.catchup, cursor, since)
            else:
                here.catchup.begin(cursor, since)
        _run(room, runs)
        # Once more behind the entry: whoever has ended since is seen here, or leaves behind it. Who was in
        # the room before leaves in any case.
        if is_new and _has_ended(receiver):
            self.leave(receiver, room)
        return member

    def leave(self, receiver: Receiver, room: str) -> None:
        """
        Take somebody out of a room; who is not in it is left alone.

        What another thread is publishing at this moment may still get there.
        """
        here = self._here()
        with here.lock:
            exit_ = here.table.leave(receiver, room)
            runs = [] if exit_ is None else self._note(here, exit_)
        if exit_ is not None and exit_.cursor is not None:
            here.catchup.end(exit_.cursor)
        _run(room, runs)

    def leave_all(self, receiver: Receiver) -> None:
        """Take somebody out of all rooms; a WebSocket does so itself at its end, before ``closed()``."""
        here = self._here()
        with here.lock:
            exits = here.table.leave_all(receiver)
            due = [(exit_.room, self._note(here, exit_)) for exit_ in exits]
        for exit_ in exits:
            if exit_.cursor is not None:
                here.catchup.end(exit_.cursor)
        with ExitStack() as stack:  # it goes through all, and raises what one of them has raised
            for room, runs in reversed(due):
                stack.callback(_run, room, runs)

    def _note(self, here: _Here, exit_: Exit) -> list[Turns]:
        """Add what follows from leaving, under the lock; return what is to be run behind it."""
        room, member, receiver, is_last, _ = exit_
        backplane = self._backplane
        runs: list[Turns] = []
        if backplane is not None and here.started:
            _add(runs, here.errands, room, functools.partial(backplane.exit, room, member.id))
            if is_last:
                _add(runs, here.errands, room, functools.partial(backplane.unsubscribe, room))
        for callback in self._on_left:
            call = functools.partial(_tell, callback, room, member, receiver)
            _add(runs, here.tellings, room, call)
        return runs

    # --- publishing ----------------------------------------------------------------------

    def publish(
        self,
        room: str,
        message: str | Buffer | Message,
        exclude: object | Iterable[object] | None = None,
    ) -> int:
        """
        Send a message to everyone in a room, and wait for nobody.

        The frame is built once. What one thread publishes reaches each member in that order. A member that
        does not read gets what its ``queue_policy`` says, and costs the others nothing.

        Args:
            room: A room without members is no error.
            message: str is sent as text, bytes as binary, a message as what it is.
            exclude: Who does not get it, usually who said it: a WebSocket, a :class:`Member`, a member's
                id, or several of these. Who is not in the room is no error.

        Returns:
            How many members in this process it was queued for.

        Raises:
            TypeError: The message, the room or what is excluded is of another type.
            ValueError: The room's name is empty or too long, or what is to be text is not UTF-8.
            ConnectionError: The backplane is away, and is to say so; local members have got the message.
        """
        check_room(room)
        prepared = prepare(message)
        here = self._ready()
        with here.lock:
            seats = here.table.seats(room)
            excluded = None if exclude is None else here.table.ids(exclude)
        if excluded:
            seats = [seat for seat in seats if seat.member.id not in excluded]
        backplane = self._backplane
        if backplane is None:
            kept = here.kept
            if kept is None or not kept.keeps(room):
                return fan_out(room, seats, prepared)
            keep = functools.partial(
                kept.append, room, bytes(prepared.data), prepared.is_text, tuple(excluded or ())
            )
            return here.catchup.publish(room, keep)
        count = len(seats) if backplane.echoes(room) else fan_out(room, seats, prepared)
        backplane.publish(room, bytes(prepared.data), prepared.is_text, tuple(excluded or ()))
        return count

    def deliver(self, envelope: Envelope) -> int:
        """
        Send what came from elsewhere to the members in this process; for a backplane.

        Returns:
            How many members it was queued for.
        """
        here = self._here()
        if envelope.key is not None:
            return here.catchup.deliver(make_entry(envelope))
        with here.lock:
            seats = here.table.seats(envelope.room)
        exclude = envelope.exclude
        if exclude:
            seats = [seat for seat in seats if seat.member.id not in exclude]
        return fan_out(envelope.room, seats, PreparedMessage(envelope.payload, envelope.is_text))

    def _vanish(self, room: str, member_id: str, info: Mapping[str, Any]) -> None:
        """Tell that a member has left whose process was killed; for a backplane."""
        here = self._here()
        member = Member(member_id, info)
        runs: list[Turns] = []
        with here.lock:
            for callback in self._on_left:
                _add(runs, here.tellings, room, functools.partial(callback, room, member))
        _run(room, runs)

    def history(self, room: str, since: str | None = None, limit: int = 100) -> list[KeptMessage]:
        """
        Return what a room has kept, the oldest first: for a page, or whoever needs no connection.

        With a backplane it may wait for the network.

        Args:
            since: The id of a message; only what came after it.
            limit: Most messages; the last ones.

        Raises:
            ConnectionError: The history is away.
        """
        check_room(room)
        here = self._ready()
        keeper: Keeper | None = self._keeper or here.kept
        if keeper is None or not keeper.keeps(room) or limit < 1:
            return []
        return keeper.read_last(room, since, limit)

    # --- presence ------------------------------------------------------------------------

    def members(self, room: str) -> list[Member]:
        """
        Return who is in a room: in this process in the order of coming, then those elsewhere.

        With a backplane it may wait for the network.
        """
        check_room(room)
        here = self._ready()
        backplane = self._backplane
        everyone: Mapping[str, Mapping[str, Any]] = {}
        if backplane is not None:
            try:
                everyone = backplane.members(room)
            except Exception:
                logger.exception("who else is in the room %r could not be found out", room)
        with here.lock:
            members = here.table.members(room)
        present = {member.id for member in members}
        return members + [Member(key, info) for key, info in everyone.items() if key not in present]

    def websockets(self, room: str) -> list[Any]:
        """Return the WebSockets in a room whose connections are in this process, in the order of coming."""
        check_room(room)
        here = self._here()
        with here.lock:
            return [seat.receiver for seat in here.table.seats(room)]

    def rooms(self) -> list[str]:
        """Return the rooms that have members in this process."""
        here = self._here()
        with here.lock:
            return here.table.rooms()

    def rooms_of(self, receiver: Receiver) -> list[str]:
        """Return the rooms that somebody is in, in the order of joining."""
        here = self._here()
        with here.lock:
            return here.table.rooms_of(receiver)

    def on_joined(self, callback: _Callback) -> _Callback:
        """
        Call ``callback(room, member)`` when somebody whose connection is in this process has come in.

        It is called where ``join()`` was called, before that returns, with no lock held; it may publish,
        join and leave. For one room, callbacks are called one after the other in the order of coming and
        going: of two that come at the same moment, the thread of the first calls for both. So it has to be
        quick, as a hook. An exception is logged, and harms nobody.

        Returns:
            The callback, so that this can be written as a decorator.

        Raises:
            TypeError: It is ``async def``: whoever joins may have no loop.
        """
        _check_callback(callback)
        with self._here().lock:
            self._on_joined += (callback,)
        return callback

    def on_left(self, callback: _Callback) -> _Callback:
        """
        Call ``callback(room, member)`` when somebody in this process has left; as :meth:`on_joined`.

        Whoever has come in leaves once: by ``leave()``, or when the connection ends, before ``closed()``.
        Of those whose process was killed, and who were in a room of a backplane, one of the processes with
        members in the same room is told, in a thread of its own.
        """
        _check_callback(callback)
        with self._here().lock:
            self._on_left += (callback,)
        return callback

    def remove_callback(self, callback: Callback) -> None:
        """Call it no more, neither for those who come nor for those who go."""
        with self._here().lock:
            self._on_joined = tuple(other for other in self._on_joined if other != callback)
            self._on_left = tuple(other for other in self._on_left if other != callback)

    # --- the process ---------------------------------------------------------------------

    def close(self) -> None:
        """Let the backplane end. Members stay in their rooms; the next join or publish begins anew."""
        backplane = self._backplane
        if backplane is not None:
            here = self._here()
            with here.starting:
                with here.lock:
                    here.started = False
                backplane.close()

    def _here(self) -> _Here:
        """Return what there is in this process; a forked child begins with nothing."""
        pid = os.getpid()
        here = self._processes.get(pid)
        if here is None:
            # Not by a lock: whoever held it when the child was forked is not in the child.
            kept = None
            if self._span_of is not None and self._keeper is None:
                kept = MemoryHistory(self._span_of, self.max_history_size)
            here = self._processes.setdefault(pid, _Here(self._keeper, kept))
            for other in list(self._processes):
                if other != pid:
                    self._processes.pop(other, None)
        return here

    def _ready(self) -> _Here:
        """Return the same, with the backplane at work."""
        here = self._here()
        if self._backplane is not None and not here.started:
            for room, runs in self._start(self._backplane, here):
                _run(room, runs)
        return here

    def _start(self, backplane: Backplane, here: _Here) -> list[tuple[str, list[Turns]]]:
        """Start the backplane; return what is to be run, for who has come before."""
        due: list[tuple[str, list[Turns]]] = []
        with here.starting:  # start() does not wait, so that neither do others; but for the end of close()
            if here.started or here.is_starting:  # the handler of a signal has interrupted it
                return due
            here.is_starting = True
            try:
                if self._keeper is not None:
                    self._keeper.follow(here.catchup.ready, here.catchup.wait_placed)
                backplane.start(self.deliver, self._vanish)
            finally:
                here.is_starting = False
            with here.lock:
                here.started = True
                for room in here.table.rooms():
                    runs: list[Turns] = []
                    _add(runs, here.errands, room, functools.partial(backplane.subscribe, room))
                    for member in here.table.members(room):
                        enter = functools.partial(backplane.enter, room, member.id, member.info)
                        _add(runs, here.errands, room, enter)
                    due.append((room, runs))
        return due


def _has_ended(receiver: Receiver) -> bool:
    return not receiver.is_open


def _run(room: str, runs: list[Turns]) -> None:
    with ExitStack() as stack:  # it goes through all, and raises what one of them has raised
        for turns in reversed(runs):
            stack.callback(turns.run, room)


def _add(runs: list[Turns], turns: Turns, room: str, call: Callable[[], object]) -> None:
    if turns.add(room, call):
        runs.append(turns)


def _tell(callback: Callback, room: str, member: Member, receiver: Receiver) -> None:
    """Call a callback, whose member's WebSocket is there until then."""
    callback(room, member)


def _check_callback(callback: object) -> None:
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
        getattr(callback, "__call__", None)  # noqa: B004 - its kind is asked for
    ):
        raise TypeError(
            "a callback of a hub is called from any thread, and cannot be awaited; publish() needs no await"
        )
    if not callable(callback):
        raise TypeError(f"a callback takes a room and a member; {callback!r} cannot be called")
