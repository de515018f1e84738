"""
The link: what drives one connection, the same in every manager.

It stands between four things: the core (:class:`~.core.connection.Connection`),
the transport, the handler, and the *loop* that says when there is something to
do. One lock guards the core; callbacks of the handler run outside it, one after
the other. Sending is safe from any thread, at any time.
"""

from __future__ import annotations

import logging
import ssl
from _thread import allocate_lock
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any, Protocol

from .core.connection import Connection
from .core.events import MessageReceived, PongReceived
from .core.policy import Policy
from .core.prepared import PreparedMessage
from .core.types import Buffer, CloseCode, State
from .exc import ConnectionClosed
from .inbox import Inbox, Waiter
from .messaging import BinaryMessage, Message, PongControlMessage, TextMessage

__all__ = ["Handler", "Link", "Loop", "TransportLike"]

logger = logging.getLogger("ws4py_middleware")

_text = TextMessage.from_bytes
_binary = BinaryMessage.from_bytes
# A peer that goes away, or breaks TLS, is no error of this end's.
_PEERS_ERRORS = (ConnectionError, TimeoutError, ssl.SSLError)

_OPEN = State.OPEN
_CLOSED = State.CLOSED


class TransportLike(Protocol):
    """The bytes below: :class:`~.handover.Transport`, or anything with ws4py's ``recv`` and ``sendall``."""

    def fileno(self) -> int: ...
    def recv(self, size: int = ..., /) -> bytes | None: ...
    def send(self, data: Buffer, /) -> int: ...
    def pending(self) -> int: ...
    def interest(self, reading: bool, writing: bool, /) -> tuple[bool, bool]: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Handler(Protocol):
    """The hooks of the user's object."""

    def opened(self) -> None: ...
    def received_message(self, message: Message, /) -> None: ...
    def ponged(self, pong: Message, /) -> None: ...
    def closed(self, code: int, reason: str | None = None, /) -> None: ...
    def unhandled_error(self, error: BaseException, /) -> None: ...


class Loop(Protocol):
    """
    What a link asks of whoever runs it. All of it may be called from any thread.

    ``again`` asks for a :meth:`Link.turn`, the only place from which callbacks
    are made; turns of one link never overlap.
    """

    #: Whether handlers of several connections run in it.
    is_shared: bool

    def current(self) -> Hashable: ...
    def may_wait(self) -> bool: ...
    def make_waiter(self) -> Waiter: ...
    def make_lock(self) -> Any: ...
    def spawn(self, function: Callable[[], None], name: str) -> None: ...
    def again(self, link: Link) -> None: ...
    def update(self, link: Link) -> None: ...
    def schedule(self, link: Link, when: float) -> None: ...
    def released(self, link: Link) -> None: ...


class Link:
    """One connection in the hands of a loop."""

    __slots__ = (
        "__weakref__",
        "_busy",
        "_error",
        "_fragment_lock",
        "_half_closed",
        "_inbox",
        "_lock",
        "_told_closed",
        "_told_opened",
        "_waiters",
        "blocked",
        "conn",
        "fd",
        "handler",
        "loop",
        "on_closed",
        "paused",
        "released",
        "timer",
        "transport",
    )

    def __init__(self, handler: Handler, transport: TransportLike, conn: Connection, loop: Loop) -> None:
        self.handler = handler
        self.transport = transport
        self.conn = conn
        self.loop = loop
        self.fd = -1
        #: Whether bytes wait for the network to take more.
        self.blocked = False
        #: Whether nothing is read, because the peer does not read, or the inbox is full.
        self.paused = False
        #: Whether the transport is closed and the loop has forgotten this link.
        self.released = False
        #: The time for which the loop was asked to come back; ``None``: it was not.
        self.timer: float | None = None
        #: Called once, just before the handler's ``closed()``.
        self.on_closed: Callable[[], None] | None = None
        self._lock = allocate_lock()
        self._busy: Hashable = None  # who runs a callback, and so corks what is sent
        self._error: OSError | None = None  # what the connection was lost to
        self._told_opened = False
        self._told_closed = False
        self._half_closed = False
        self._inbox: Inbox | None = None
        self._waiters: list[Waiter] | None = None
        self._fragment_lock: Any = None

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
        return self._busy is not None and self._busy == self.loop.current()

    # --- sending: any thread ------------------------------------------------------------

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """
        Send a message; wait for room, if the policy says so and the caller may.

        Raises:
            ConnectionClosed: The connection is closed, or was because the peer is too slow.
        """
        self._send(len(data), lambda conn: conn.send_message(data, is_text), self.loop.may_wait())

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """Send one fragment, as :meth:`send_message`; nothing of it is ever dropped."""
        self._send(
            len(data),
            lambda conn: conn.send_fragment(data, is_text, first=first, fin=fin),
            self.loop.may_wait(),
            droppable=False,
        )

    def send_prepared(self, message: PreparedMessage) -> bool:
        """
        Send a message that goes to many; never wait and never raise.

        Returns:
            Whether it was queued: the connection is open, and the policy did not drop it.
        """
        try:
            return self._send(len(message), lambda conn: conn.send_prepared(message), may_wait=False)
        except ConnectionClosed:
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

    def fragment_lock(self) -> Any:
        """Return the lock of those who send a message in fragments, one after the other."""
        with self._lock:
            if self._fragment_lock is None:
                self._fragment_lock = self.loop.make_lock()
            return self._fragment_lock

    def _send(
        self, size: int, push: Callable[[Connection], None], may_wait: bool, *, droppable: bool = True
    ) -> bool:
        conn = self.conn
        while True:
            with self._lock:
                if conn.backlog > conn.policy.write_high_water:
                    waiter = self._make_room(size, may_wait, droppable)
                    if waiter is False:
                        return False
                else:
                    waiter = None
                if waiter is None or waiter is True:
                    push(conn)
                    self._flush_unless_corked()
                    return True
            waiter.wait()

    def _make_room(self, size: int, may_wait: bool, droppable: bool) -> Waiter | bool:
        """Decide on a message above the high-water mark: ``True`` send it, ``False`` drop it, or wait."""
        conn = self.conn
        if self._busy is not None:
            self._flush()  # it may be corked only
        if conn.state is not _OPEN:
            return True  # the core raises what there is to say
        policy = conn.policy
        if conn.backlog <= policy.write_high_water:
            return True
        if may_wait and (policy.queue_policy == "block" or not droppable):
            waiter = self.loop.make_waiter()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            return waiter
        limit = policy.write_limit
        if conn.backlog + size <= limit:
            return True
        if droppable and policy.queue_policy == "drop-oldest":
            while conn.backlog + size > limit and conn.drop_oldest():
                pass
            return conn.backlog + size <= limit
        if droppable and policy.queue_policy == "drop-newest":
            return False
        reason = f"more than {limit} bytes wait for a peer that does not take them"
        conn.fail(CloseCode.TRY_AGAIN_LATER, reason, monotonic(), discard=True)
        self._flush()
        self._settle()
        return True

    # --- below here the lock is held ------------------------------------------------------

    def _flush_unless_corked(self) -> None:
        busy = self._busy
        if busy is None or busy != self.loop.current():
            self._flush()

    def _flush(self) -> None:
        """Give the network what it takes."""
        conn = self.conn
        if self.blocked:
            return
        while data := conn.data_to_send():
            try:
                sent = self.transport.send(data)
            except OSError as error:
                self._lose(error)
                return
            conn.data_sent(sent, monotonic())
            if sent < len(data):
                self.blocked = True
                self.loop.update(self)
                self._schedule()
                return

    def _lose(self, error: OSError) -> None:
        """Note that the connection is gone, and ask for the turn that tells the handler."""
        if not self.conn.finished:
            self._error = error
            self.conn.lose(error.strerror or str(error))
            self._settle()

    def _settle(self) -> None:
        """See to what follows from a change of state, or of a deadline."""
        conn = self.conn
        if conn.half_close and not self._half_closed and not conn.finished:
            self._half_closed = True
            self.transport.shutdown_write()
        if conn.state is not _OPEN:
            self._wake_waiters()
            if conn.state is _CLOSED and (conn.finished or not self._told_closed):
                self.loop.again(self)
            elif self.paused:
                self._resume()  # only the peer's FIN is read for
        self._schedule()

    def _schedule(self) -> None:
        when = self.conn.next_deadline()
        if when is not None and (self.timer is None or when < self.timer):
            self.timer = when
            self.loop.schedule(self, when)

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            waiter.set()

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.conn.pause()
            self.loop.update(self)

    def _resume(self) -> None:
        if self.paused:
            self.paused = False
            self.conn.resume(monotonic())
            self.loop.update(self)
            self.loop.again(self)

    def _must_pause(self) -> bool:
        if self.conn.state is not _OPEN:
            return False
        if self._inbox is not None and self._inbox.is_full:
            return True
        return self.conn.backlog > self.conn.policy.write_high_water

    # --- the loop's side: one turn at a time ------------------------------------------------

    def wants(self) -> tuple[bool, bool]:
        """Return what to poll for: (readable, writable)."""
        return self.transport.interest(not (self.paused or self.conn.eof_received), self.blocked)

    def begin(self, early: bytes) -> None:
        """Take the bytes that came with the handshake, and arm the timers; the first turn does the rest."""
        with self._lock:
            if early:
                self.conn.receive_data(early, monotonic())
            self._schedule()

    def adopt(self, transport: TransportLike, loop: Loop) -> None:
        """Pass into the hands of a loop; ``opened()`` is the caller's to call."""
        with self._lock:
            self.transport = transport
            self.loop = loop
            self.fd = transport.fileno()
            self._told_opened = True
            self._schedule()

    def feed(self, data: bytes) -> None:
        """Take bytes from elsewhere than the transport, and call the hooks for all that is in them."""
        self._told_opened = True
        with self._lock:
            self.conn.receive_data(data, monotonic())
        self.turn()
        while not self.released and (self.conn.has_events or self.conn.has_more):
            self.turn()

    def read(self) -> None:
        """Read once from a transport that waits, and call the hooks for all that came."""
        self._told_opened = True
        self.turn(readable=True)
        while not self.released and (self.conn.has_events or self.conn.has_more):
            self.turn()

    def terminate(self) -> None:
        """End the connection without waiting for anything; a loop tells the handler in its next turn."""
        with self._lock:
            self.conn.lose("Going away")
            self._settle()
        if not self.loop.is_shared:
            self._conclude()

    def drop(self) -> None:
        """End the connection at once, from within the loop: the handler is told, the transport closed."""
        with self._lock:
            self.conn.lose("Going away")
        self._conclude()
        self.release()

    def on_readable(self) -> None:
        """Read once, and let the handler have what came."""
        self.turn(readable=True)

    def on_writable(self) -> None:
        """Send on, and read on when the peer has made room."""
        with self._lock:
            self.blocked = False
            self._flush()
            if not self.blocked:
                self.loop.update(self)
            if self.conn.backlog <= self.conn.policy.write_high_water:
                self._wake_waiters()
                if self.paused and not self._must_pause():
                    self._resume()
            self._settle()

    def on_hangup(self) -> None:
        """Note a connection that is gone while nothing is read from it."""
        if self.paused:
            with self._lock:
                self._lose(ConnectionResetError("the peer has reset the connection"))

    def on_deadline(self, now: float) -> None:
        """See to the deadlines that have come."""
        self.timer = None
        with self._lock:
            self.conn.handle_deadline(now)
            self._flush()
            self._settle()

    def turn(self, readable: bool = False) -> None:
        """Make the callbacks that are due, within the bounds of one turn."""
        if self.released:
            return
        conn = self.conn
        if not self._told_opened:
            self._told_opened = True
            self._callback(self.handler.opened)
        if not self.paused:
            if not conn.has_events:
                if conn.has_more:
                    with self._lock:
                        conn.receive_data(b"", monotonic(), self._frames())
                elif readable or self.transport.pending():
                    self._read()
            self._dispatch()
        if conn.state is _CLOSED:
            self._conclude()
        elif not self.paused and (conn.has_events or conn.has_more or self.transport.pending()):
            self.loop.again(self)

    def _read(self) -> None:
        conn = self.conn
        try:
            data = self.transport.recv(conn.policy.turn_bytes)
        except OSError as error:
            with self._lock:
                self._lose(error)
            return
        if data is None:
            return
        with self._lock:
            if data:
                conn.receive_data(data, monotonic(), self._frames())
            else:
                conn.receive_eof(monotonic())
                self.loop.update(self)  # the end would be readable for ever

    def _frames(self) -> int | None:
        """Return how many frames to parse at once: no more than the inbox has room for."""
        inbox = self._inbox
        return None if inbox is None else self.conn.policy.receive_queue_messages

    def _dispatch(self) -> None:
        conn = self.conn
        lock = self._lock
        handler = self.handler
        policy = conn.policy
        high_water = policy.write_high_water
        began = monotonic()
        self._busy = self.loop.current()
        try:
            while True:
                with lock:
                    event = conn.next_event()
                if event is None:
                    break
                if isinstance(event, MessageReceived):
                    handler.received_message(_text(event.data) if event.is_text else _binary(event.data))
                elif isinstance(event, PongReceived) and event.latency is None:
                    handler.ponged(PongControlMessage(event.data))
                if conn.queued > high_water or self._inbox is not None:
                    with lock:
                        self._flush()
                        if self._must_pause():
                            self._pause()
                            break
                if monotonic() - began > policy.turn_time:
                    break
        except BaseException as error:  # noqa: BLE001 - see _handler_failed
            self._handler_failed(error)
        finally:
            self._busy = None
            with lock:
                self._flush()
                if conn.state is not _OPEN:
                    self._settle()

    def _callback(self, function: Callable[..., None], *args: Any) -> None:
        """Run one callback; what it sends leaves in one piece when it is done."""
        self._busy = self.loop.current()
        try:
            function(*args)
        except BaseException as error:  # noqa: BLE001 - see _handler_failed
            self._handler_failed(error)
        finally:
            self._busy = None
            with self._lock:
                self._flush()
                self._settle()

    def _handler_failed(self, error: BaseException) -> None:
        """
        End one connection because of its handler, and no other.

        Not even ``sys.exit()`` in a handler ends a loop that runs the handlers of
        others. A loop in the caller's own thread lets it, and Ctrl-C, through.
        """
        logger.error("%r raised an exception; its connection is closed", self.handler, exc_info=error)
        with self._lock:
            self.conn.fail(CloseCode.INTERNAL_ERROR, "internal error", monotonic())
        if not isinstance(error, Exception) and not self.loop.is_shared:
            raise error

    def _conclude(self) -> None:
        """Tell the handler of the end, once, and let go of the transport when nothing is waited for."""
        if not self._told_closed:
            self._told_closed = True
            with self._lock:
                self._wake_waiters()
                if self._inbox is not None:
                    self._inbox.end()
            if self.on_closed is not None:
                self.on_closed()
            if self._error is not None and not isinstance(self._error, _PEERS_ERRORS):
                self._callback(self.handler.unhandled_error, self._error)
            self._callback(self.handler.closed, self.conn.close_code, self.conn.close_reason)
        if self.conn.finished:
            self.release()

    def release(self) -> None:
        """Close the transport now; what was not said will not be."""
        with self._lock:
            if self.released:
                return
            self.released = True
            # The loop forgets the descriptor before its number can be given to another connection.
            self.loop.released(self)
            if self.conn.queued:
                self.transport.abort()
            else:
                self.transport.close()
            self._wake_waiters()

    # --- messages that are asked for ----------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """Put a message into the inbox, for :meth:`receive`."""
        with self._lock:
            inbox = self._open_inbox()
            # After close() nobody makes room any more, and the peer's Close frame is still to be read.
            if not inbox.is_full or self.conn.state is _OPEN:
                inbox.put(message)

    def receive(self, timeout: float | None) -> Message | None:
        """
        Wait for the next message.

        Returns:
            The message; ``None`` when the connection has ended and all were taken.

        Raises:
            TimeoutError: None came in time.
            RuntimeError: The loop itself would have to wait.
        """
        if self.is_mine or not self.loop.may_wait():
            raise RuntimeError(
                "receive() waits for the loop that runs this callback; "
                "use received_message(), or a function as the handler"
            )
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                inbox = self._open_inbox()
                message = inbox.take()
                if message is not None:
                    if self.paused and not self._must_pause():
                        self._resume()
                    return message
                if inbox.ended:
                    return None
                waiter = inbox.add_waiter(self.loop.make_waiter)
            try:
                waiter.wait(None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                with self._lock:
                    inbox.remove_waiter(waiter)
            if deadline is not None and not (inbox or inbox.ended) and monotonic() >= deadline:
                raise TimeoutError(f"no message within {timeout:g} s")

    def _open_inbox(self) -> Inbox:
        if self._inbox is None:
            self._inbox = Inbox(self.conn.policy)
            self._inbox.ended = self._told_closed
        return self._inbox
