"""
What a link takes in: what its transport has, in turns, for the handler.

It is the half of :class:`~.link.Link` that its loop calls, one turn at a time. Callbacks are made outside
of the lock.
"""

from __future__ import annotations

from typing import Protocol

from .core.events import Event, HookDue, MessageReceived, PongReceived
from .core.machine import Machine
from .handover.nowait import PlainSocket
from .lifetimes import reauthorize
from .loops import Loop, TransportLike
from .messaging import Message, PongControlMessage, make_binary, make_text
from .native import get_ident, monotonic
from .outgoing import Outgoing
from .pollers import HANGUP, READ, WRITE

__all__ = ["Handler", "Incoming"]

# The poller's flags, as numbers of C.
_READ = READ
_WRITE = WRITE
_HANGUP = HANGUP

# From so many bytes in one read on, the next one may go on with the same payload.
_LONG = 16 * 1024

# The longest head of a frame: two bytes, a length of eight, a mask key.
_HEAD_SIZE = 14

# How many messages may come before the clock is asked again, when those before them took hardly any time.
_UNTIMED = 8


class Handler(Protocol):
    """The hooks of the user's object."""

    def opened(self) -> object: ...
    def received_message(self, message: Message, /) -> object: ...
    def ponged(self, pong: Message, /) -> object: ...
    def closed(self, code: int, reason: str | None = None, /) -> object: ...
    def unhandled_error(self, error: BaseException, /) -> object: ...


class Incoming(Outgoing):
    """The reading half of a link."""

    __slots__ = (
        "_crossed",
        "_hung_up",
        "_is_long",
        "_read_due",
        "_told_opened",
        "handler",
    )

    def __init__(self, handler: Handler, transport: TransportLike, conn: Machine, loop: Loop) -> None:
        super().__init__(transport, conn, loop)
        self.handler = handler
        self._told_opened = False
        self._read_due = False  # there may be something to read that no poller tells of
        self._hung_up = False  # the poller has told all it knows
        self._is_long = False  # much has come at once
        self._crossed = False  # reading waits for writing, which TLS may want

    # --- what the poller tells ----------------------------------------------------------------

    def wants(self) -> tuple[bool, bool]:
        """Return what to poll for: (readable, writable)."""
        reads = not (self.paused or self.held or self.conn.eof_received)
        return self.transport.interest(reads, self.blocked)

    def on_ready(self, events: int) -> None:
        """See to what the poller tells; see :class:`~.pollers.Poller`."""
        if events & _WRITE:
            self.on_writable()
        if events & _READ:
            self.on_readable()
        elif events & _HANGUP:
            self.on_hangup()
            self.on_readable()

    def on_readable(self) -> None:
        """Read once, and let the handler have what came."""
        if self.blocked and self.transport.interest(False, True)[0]:
            self.on_writable()  # TLS had to read before it could write
        self.turn(readable=True)

    def on_writable(self) -> None:
        """Send on, and read on when the peer has made room."""
        with self._lock:
            self.blocked = False
            if self._crossed:
                self._read_due = True  # TLS had to write before it could read
                self._again()
            self._flush()
            if not self.blocked:
                self._update()
            self._settle()

    def on_hangup(self) -> None:
        """Note a connection that is gone while nothing is read from it."""
        with self._lock:
            if self.blocked:
                self._lose(ConnectionResetError("the peer has reset the connection"))
            elif self.paused:
                # What the peer said before is read when there is room for it.
                self._hung_up = True
                self.loop.ignore(self)

    # --- one turn -----------------------------------------------------------------------------

    def turn(self, readable: bool = False) -> None:
        """Make the callbacks that are due, within the bounds of one turn."""
        if self.released:
            return
        conn = self.conn
        if not self._told_opened:
            self._tell_opened()
        if conn.deadlines.lifetime_over:
            reauthorize(self)
        if not self.paused:
            self._dispatch(self._take_in(readable))
        if conn.is_closed():
            self._conclude()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Ask for another turn, when there is something left that no poller tells of."""
        if not self.paused and (
            self.conn.has_work() or self._hung_up or (self._plain is None and self.transport.pending())
        ):
            self.loop.again(self)

    def _take_in(self, readable: bool) -> float:
        """
        Let the core parse what is there, or else what can be read, unless events wait to be taken.

        Returns:
            What time it is.
        """
        conn = self.conn
        plain = self._plain
        if conn.has_work():
            now = monotonic()
            if not conn.has_events:
                with self._lock:
                    conn.receive_data(b"", now, self._frames())
            return now
        if readable or self._read_due or self._hung_up or (plain is None and self.transport.pending()):
            self._read_due = False
            try:
                if plain is None:
                    data = self._recv()
                elif self._is_long and (room := self._get_room()) is not None:
                    return self._fill(plain, room)
                else:
                    # A payload of so many bytes comes in one read, with what stands before it.
                    data = plain.recv(self._limits.turn_bytes + _HEAD_SIZE)
            except OSError as error:
                with self._lock:
                    self._lose(error)
            else:
                now = monotonic()
                if data is not None:
                    self._is_long = len(data) >= _LONG
                    self._receive(data, now)
                return now
        return monotonic()

    def _get_room(self) -> memoryview | None:
        """Return where the rest of a long payload may be read to, if one is on its way."""
        with self._lock:
            return self.conn.get_room(self._limits.turn_bytes)

    def _fill(self, plain: PlainSocket, room: memoryview) -> float:
        """Read what a long payload lacks to where it belongs; return what time it is."""
        with room:
            size = plain.recv_into(room)
        now = monotonic()
        with self._lock:
            if size:
                self.conn.room_filled(size, now)
            elif size is not None:
                self._receive(b"", now)
        return now

    def _recv(self) -> bytes | None:
        """Read from a transport that may have to write for it, as TLS may."""
        data = self.transport.recv(self._limits.turn_bytes)
        if data is None or self._crossed:
            crossed = self.transport.interest(True, False)[1]
            if crossed != self._crossed:
                self._crossed = crossed
                self._update()
        return data

    def _receive(self, data: bytes, now: float) -> None:
        """Give the core what was read."""
        lock = self._lock
        lock.enter()
        try:
            if data:
                self.conn.receive_data(data, now, self._frames())
            else:
                self._hung_up = False
                self.conn.receive_eof(now)
                self._update()  # the end would be readable for ever
        finally:
            lock.leave()

    def _frames(self) -> int | None:
        """Return how many frames to parse at once: no more than the inbox has room for."""
        inbox = self._inbox
        return None if inbox is None else self.conn.policy.receive_queue_messages

    def _dispatch(self, began: float) -> None:
        """Call the hooks for the events that there are, and let leave what they have sent."""
        conn = self.conn
        lock = self._lock
        handler = self.handler
        limits = self._limits
        untimed = 1  # so many messages more without a look at the clock
        self._busy = get_ident() if self._is_threaded else self.loop.current()
        try:
            while True:
                lock.enter()
                try:
                    event = conn.next_event()
                finally:
                    lock.leave()
                if event is None:
                    break
                if type(event) is MessageReceived:
                    message = event
                    handler.received_message(
                        make_text(message.data) if message.is_text else make_binary(message.data)
                    )
                else:
                    self._tell_other(event)
                if conn.get_queued() > limits.write_high_water or self._inbox is not None or self._fragmenter:
                    with lock:
                        self._flush()
                        if self._must_pause():
                            self._pause()
                            break
                untimed -= 1
                if untimed <= 0 and conn.has_work():  # after the last one nobody waits for the next
                    elapsed = monotonic() - began
                    if elapsed > limits.turn_time:
                        break
                    untimed = _UNTIMED if elapsed * _UNTIMED < limits.turn_time else 1
        except BaseException as error:  # noqa: BLE001 - see _handler_failed
            self._handler_failed(error)
        finally:
            self._busy = 0
            lock.enter()
            try:
                self._flush()
                if not conn.is_open():
                    self._settle()
            finally:
                lock.leave()

    def _tell_other(self, event: Event) -> None:
        """Call the hook for an event that is no message, if there is one."""
        if isinstance(event, PongReceived) and event.latency is None:
            self.handler.ponged(PongControlMessage(event.data))
        elif isinstance(event, HookDue):
            event.tell(self.handler)

    # --- what the other half of a link does ------------------------------------------------------

    def _tell_opened(self) -> None:
        """Call ``opened()``."""
        raise NotImplementedError

    def _handler_failed(self, error: BaseException) -> None:
        """End the connection because of its handler."""
        raise NotImplementedError

    def _conclude(self, tell: bool = True) -> None:
        """Tell the handler of the end, once."""
        raise NotImplementedError
