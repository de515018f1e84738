"""
What a link sends: from any thread, in whole frames, and never more than the peer may cost.

It is the half of :class:`~.link.Link` that everybody may call. One lock guards the
core; whoever holds it gives the network what it takes, and waits for nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sized
from typing import Any

from .core.limits import find_limits
from .core.machine import Machine
from .core.policy import Policy
from .core.prepared import PreparedMessage
from .core.types import Buffer, CloseCode
from .corks import Corkable, find_cork, flush_if_let_go
from .exc import ConnectionClosed
from .handover.nowait import PlainSocket
from .handover.transports import Transport
from .inbox import Inbox, Waiter, Waker
from .loops import Loop, TransportLike
from .native import get_ident, monotonic
from .timers import NO_TICK

__all__ = ["Loop", "Outgoing", "TransportLike"]

_NEVER = float("inf")  # as in core.deadlines


class Outgoing(Corkable):
    """The sending half of a link, and what both halves share."""

    __slots__ = (
        "__weakref__",
        "_busy",
        "_error",
        "_fragmenter",
        "_fragmenters",
        "_half_closed",
        "_inbox",
        "_is_threaded",
        "_limits",
        "_lock",
        "_plain",
        "_told_closed",
        "_waiters",
        "blocked",
        "conn",
        "ended_at",
        "fd",
        "held",
        "keeps_oldest",
        "loop",
        "paused",
        "released",
        "tick",
        "timer",
        "transport",
        "turn_due",
    )

    def __init__(self, transport: TransportLike, conn: Machine, loop: Loop) -> None:
        super().__init__()
        self.conn = conn
        self._limits = find_limits(conn.policy)
        self._join(transport, loop)
        self.fd = -1
        #: When the handler was told of the end, or should have been; ``None`` before.
        self.ended_at: float | None = None
        #: Whether bytes wait for the network to take more.
        self.blocked = False
        #: Whether nothing is read, because the peer does not read, or the inbox is full.
        self.paused = False
        #: Whether the transport is closed and the loop has forgotten this link.
        self.released = False
        #: The thread that has it, and nobody else gives it a turn; 0: the loop has.
        self.held = 0
        #: Whether ``queue_policy="drop-oldest"`` drops the newest: what is queued is thought to have arrived.
        self.keeps_oldest = False
        #: Whether the loop is asked for a turn when it has this link again.
        self.turn_due = False
        #: The time for which the loop was asked to come back, if it was; and what it has made of that.
        self.timer, self.tick = _NEVER, NO_TICK
        self._lock = loop.make_lock()
        self._busy = 0  # who runs a callback, and so corks what is sent; 0: nobody does
        self._error: OSError | None = None  # what the connection was lost to
        self._told_closed = False
        self._half_closed = False
        self._inbox: Inbox | None = None
        self._waiters: list[Waker] | None = None
        self._fragmenter = 0  # who sends a message in fragments; 0: nobody does
        self._fragmenters: list[Waiter] | None = None  # those who wait to be the next one

    def _join(self, transport: TransportLike, loop: Loop) -> None:
        """Belong to a transport and a loop."""
        self.transport = transport
        # The same, where it is a plain socket: it knows no pending bytes and no crossed waits.
        self._plain: PlainSocket | None = transport if type(transport) is Transport else None
        self.loop = loop
        self._is_threaded = loop.is_threaded

    def _current(self) -> int:
        """Return who calls."""
        return get_ident() if self._is_threaded else self.loop.current()

    @property
    def policy(self) -> Policy:
        """The policy of the connection."""
        return self.conn.policy

    @property
    def is_closed(self) -> bool:
        """Whether the handler's ``closed()`` has been called, or is about to be."""
        return self._told_closed

    @property
    def is_mine(self) -> bool:
        """Whether a callback of this link runs in the thread, or greenlet, that asks."""
        return self._busy != 0 and self._busy == self._current()

    # --- in the hands of a thread of its own ------------------------------------------------

    def hold(self, ident: int) -> None:
        """
        Pass into the hands of one thread.

        Until :meth:`let_go` nothing is read, the peer is not blamed for that, and the
        loop makes no turn. What its callback sends leaves at once.

        Args:
            ident: The thread's; -1 when one will be found.
        """
        with self._lock:
            self.held = ident
            self.conn.pause()
            self._flush()
            self._update()

    def let_go(self, watch: Callable[[Any], object]) -> bool:
        """
        Pass into the hands of the loop again.

        Args:
            watch: Lets it be polled, also when polling was ended.

        Returns:
            ``False`` when it was released meanwhile and its handler does not know yet; it is still held.
        """
        with self._lock:
            if self.released and not self._told_closed:
                return False
            self.held = 0
            if not self.paused:
                self.conn.resume(monotonic())
                self._schedule()
            watch(self)
            due, self.turn_due = self.turn_due, False
            if due:
                self._again()
            return True

    def cut(self) -> None:
        """End the connection of one that is held; the thread that has it tells the handler."""
        with self._lock:
            self.conn.lose("Going away")
            self._settle()
            # Nobody is inside recv() then, who might find another connection under its number.
            if self.held == -1 or self._busy:
                self.release()

    def release(self) -> None:
        """Close the transport now; what was not said will not be."""
        raise NotImplementedError

    # --- sending: any thread ------------------------------------------------------------

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """
        Send a message; wait for room, if the policy says so and the caller may.

        Raises:
            ConnectionClosed: The connection is closed, or was because the peer is too slow.
        """
        conn = self.conn
        lock = self._lock
        lock.enter()  # not by "with", which takes half as long again, for each message
        try:
            if conn.get_backlog() <= self._limits.write_high_water:
                conn.send_message(data, is_text)
                self._flush_unless_corked()
                return
        finally:
            lock.leave()
        machine: Any = conn  # whose methods are Python's
        self._send(machine.send_message, data, is_text)

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """Send one fragment, as :meth:`send_message`; nothing of it is ever dropped."""
        push = functools.partial(self.conn.send_fragment, first=first, fin=fin)
        self._send(push, data, is_text, droppable=False)

    def send_prepared(self, message: PreparedMessage) -> bool:
        """
        Send a message that goes to many; never wait and never raise.

        Returns:
            Whether it was queued: the connection is open, and the policy did not drop it.
        """
        cork = find_cork()
        is_sent = self.send_shared(message, cork)
        flush_if_let_go(cork)
        return is_sent

    def send_shared(self, message: PreparedMessage, cork: list[Any] | None) -> bool:
        """Send a message that goes to many; see :meth:`.Corkable.send_shared`."""
        conn = self.conn
        lock = self._lock
        try:
            lock.acquire()
            try:
                if conn.get_backlog() <= self._limits.write_high_water:
                    conn.send_prepared(message)
                    if cork is None:
                        self._flush_unless_corked()
                    elif not self.is_corked and not self.blocked:
                        self.is_corked = True
                        cork.append(self)
                    return True
            finally:
                lock.release()
            machine: Any = conn  # whose methods are Python's
            return self._send(machine.send_prepared, message, waits=False)
        except ConnectionClosed:
            return False

    def uncork(self) -> None:
        """Let leave what :class:`~.corks.Cork` has held back."""
        lock = self._lock
        lock.acquire()
        try:
            self.is_corked = False
            self._flush_unless_corked()
        finally:
            lock.release()

    def ask_room(self, waker: Waker) -> bool:
        """Return whether no more waits than may; else the waker is set when that is so, or all is over."""
        conn = self.conn
        with self._lock:
            if conn.get_backlog() > self._limits.write_high_water:
                self._flush()
            if conn.get_backlog() <= self._limits.write_high_water or not conn.is_open():
                return True
            self._wake_later(waker)
            return False

    def ping(self, payload: bytes) -> None:
        """Send a ping of the application's own."""
        with self._lock:
            self.conn.ping(payload)
            self._flush_unless_corked()

    def pong(self, payload: bytes) -> None:
        """Send a pong that nobody asked for."""
        with self._lock:
            self.conn.pong(payload)
            self._flush_unless_corked()

    def close(self, code: int | None, reason: str) -> None:
        """Begin the closing handshake; again does nothing."""
        with self._lock:
            self.conn.close(code, reason, monotonic())
            self._flush_unless_corked()
            self._settle()

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection with a close code of this end's."""
        with self._lock:
            self.conn.fail(code, reason, monotonic())
            self._flush_unless_corked()
            self._settle()

    # --- a message in fragments -----------------------------------------------------------

    def begin_fragments(self) -> bool:
        """
        Wait until nobody else sends a message in fragments.

        Returns:
            ``False`` when the caller must not wait for that: the loop itself, or the
            one whose fragments are not complete. Its message has to be sent in one piece.
        """
        me = self._current()
        while True:
            with self._lock:
                if not self._fragmenter:
                    self._fragmenter = me
                    return True
                if self._fragmenter == me or not self.loop.may_wait():
                    return False
                waiter = self.loop.make_waiter()
                self._fragmenters = [*(self._fragmenters or ()), waiter]
            waiter.wait()

    def end_fragments(self) -> None:
        """Let the next one send its message in fragments."""
        with self._lock:
            self._fragmenter = 0
            if self._fragmenters:
                self._fragmenters.pop(0).set()

    def abandon_fragments(self) -> None:
        """Fail the connection: half a message cannot be taken back, and must not pass for a whole one."""
        with self._lock:
            if self.conn.is_open():
                self.conn.fail(CloseCode.INTERNAL_ERROR, "a message could not be completed", monotonic())
                self._flush_unless_corked()
                self._settle()

    # --- room -------------------------------------------------------------------------------

    def _send(
        self,
        push: Callable[..., None],
        message: Sized,
        *args: Any,
        waits: bool = True,
        droppable: bool = True,
    ) -> bool:
        """Push a message into the core when there is room for it; return whether it was not dropped."""
        conn = self.conn
        while True:
            with self._lock:
                waiter: Waiter | bool = True
                if conn.get_backlog() > self._limits.write_high_water:
                    waiter = self._make_room(len(message), waits and self.loop.may_wait(), droppable)
                if waiter is False:
                    conn.drop_newest()
                    return False
                if waiter is True:
                    push(message, *args)
                    self._flush_unless_corked()
                    return True
            waiter.wait()

    def _make_room(self, size: int, may_wait: bool, droppable: bool) -> Waiter | bool:
        """Decide on a message above the high-water mark: ``True`` send it, ``False`` drop it, or wait."""
        conn = self.conn
        self._flush()  # it may be corked only
        if not conn.is_open():
            return True  # the core raises what there is to say
        policy = conn.policy
        # Whoever sends fragments cannot wait for what is held until the last one.
        waiting = conn.get_backlog() if droppable else conn.get_queued()
        if waiting <= self._limits.write_high_water:
            return True
        is_full = conn.get_queued() > self._limits.write_high_water
        waits = policy.queue_policy == "block" or not droppable
        if waits and may_wait and (is_full or self._fragmenter != self._current()):
            return self._add_waiter()
        limit = policy.write_limit
        if waiting + size <= limit:
            return True
        if droppable and policy.queue_policy == "drop-oldest" and not self.keeps_oldest:
            while conn.get_backlog() + size > limit and conn.drop_oldest():
                pass
            return conn.get_backlog() + size <= limit
        if droppable and policy.queue_policy in ("drop-oldest", "drop-newest"):
            return False
        reason = f"more than {limit} bytes wait for a peer that does not take them"
        conn.fail(CloseCode.TRY_AGAIN_LATER, reason, monotonic(), discard=True)
        self._flush()
        self._settle()
        return True

    # --- below here the lock is held ------------------------------------------------------

    def _flush_unless_corked(self) -> None:
        busy = self._busy
        # Who is held may block at any time, and what it has said is not to wait for that.
        if busy and not self.held:
            # Not by _current(): a number of Python's would be made of each.
            if self._is_threaded:
                me: int = get_ident()
                if busy == me:
                    return
            elif busy == self.loop.current():
                return
        self._flush()

    def _flush(self) -> None:
        """Give the network what it takes, and tell those who wait for room."""
        conn = self.conn
        if not self.blocked:
            while True:
                data = conn.data_to_send()
                if type(data) is bytes:
                    piece = data
                    size = len(piece)
                else:
                    size = sum(map(len, data)) if type(data) is list else len(data)
                if not size:
                    break
                try:
                    sent = self._write(data)
                except OSError as error:
                    self._lose(error)
                    return
                # The clock is asked only where somebody waits for what the network takes.
                is_quiet = sent == size and conn.deadlines.write_due == _NEVER and conn.is_open()
                conn.data_sent(sent, 0.0 if is_quiet else monotonic())
                if sent < size:
                    self.blocked = True
                    self._update()
                    self._schedule()
                    break
        # Not only when the poller tells of room: it may have been there at once.
        if (self._waiters is not None or self.paused) and conn.get_queued() <= self._limits.write_high_water:
            self._wake_waiters()
            if self.paused and not self._must_pause():
                self._resume()

    def _write(self, data: Any) -> int:
        """Give the network what it takes of some data, or of several buffers."""
        plain = self._plain
        if type(data) is list:
            return self.transport.send(b"".join(data)) if plain is None else plain.sendv(data)
        return self.transport.send(data) if plain is None else plain.send(data)

    def _lose(self, error: OSError) -> None:
        """Note that the connection is gone, and ask for the turn that tells the handler."""
        if not self.conn.finished:
            # Its traceback would hold the frames that hold this link, until some garbage collection.
            self._error = error.with_traceback(None)
            self.conn.lose(error.strerror or str(error))
            self._settle()

    def _settle(self) -> None:
        """See to what follows from a change of state, or of a deadline."""
        conn = self.conn
        if conn.half_close and not self._half_closed and not conn.finished:
            self._half_closed = True
            self.transport.shutdown_write()
        if not conn.is_open():
            self._wake_waiters()
            if conn.is_closed() and (conn.finished or not self._told_closed):
                self._again()
            elif self.paused:
                self._resume()  # only the peer's FIN is read for
        self._schedule()

    def _schedule(self) -> None:
        when = self.conn.next_deadline()
        if when is not None and when < self.timer and not self.released:
            self.timer = when
            self.loop.schedule(self, when)

    def _again(self) -> None:
        self.loop.again(self)

    def _update(self) -> None:
        self.loop.update(self)

    def _add_waiter(self) -> Waiter:
        waiter = self.loop.make_waiter()
        self._wake_later(waiter)
        return waiter

    def _wake_later(self, waker: Waker) -> None:
        self._waiters = [*(self._waiters or ()), waker]

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            waiter.set()

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.conn.pause()
            self._update()

    def _resume(self) -> None:
        if self.paused:
            self.paused = False
            if not self.held:
                self.conn.resume(monotonic())
            self._schedule()  # what stood still while nothing was read
            self._update()
            self._wake_waiters()
            self._again()

    def _must_pause(self) -> bool:
        conn = self.conn
        is_full = self._inbox is not None and self._inbox.is_full
        return conn.is_open() and (is_full or conn.get_backlog() > self._limits.write_high_water)
