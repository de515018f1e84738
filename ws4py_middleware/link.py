"""
The link: what drives one connection, the same in every manager.

It stands between four things: the core (:class:`~.core.connection.Connection`), the transport, the handler,
and the *loop* that says when there is something to do. One lock guards the core; callbacks of the handler run
outside it, one after the other. Sending is safe from any thread, at any time: see :mod:`.outgoing`.
"""

from __future__ import annotations

import _socket
import errno
import logging
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol, TypeVar

from .core.connection import Connection
from .core.events import HookDue, MessageReceived, PongReceived
from .core.types import CloseCode, State
from .exc import ConnectionClosed
from .figures import conclude
from .inbox import Inbox, Waker
from .lifetimes import reauthorize
from .messaging import BinaryMessage, Message, PongControlMessage, TextMessage
from .outgoing import Loop, Outgoing, TransportLike, is_ctrl_c

__all__ = ["Handler", "Link", "Loop", "TransportLike"]

logger = logging.getLogger("ws4py_middleware")

_text = TextMessage.from_bytes
_binary = BinaryMessage.from_bytes
# A peer that goes away, or breaks TLS, is no error of this end's; nor is the network between.
_PEERS_ERRORS = (ConnectionError, TimeoutError, ssl.SSLError)
_PEERS_ERRNOS = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})

_OPEN = State.OPEN
_CLOSED = State.CLOSED

_Waker = TypeVar("_Waker", bound=Waker)


class Handler(Protocol):
    """The hooks of the user's object."""

    def opened(self) -> object: ...
    def received_message(self, message: Message, /) -> object: ...
    def ponged(self, pong: Message, /) -> object: ...
    def closed(self, code: int, reason: str | None = None, /) -> object: ...
    def unhandled_error(self, error: BaseException, /) -> object: ...


class _Nobody:
    """Whom a link belongs to when all has been said; it and the handler let go of each other."""

    def opened(self) -> None: ...
    def received_message(self, message: Message, /) -> None: ...
    def ponged(self, pong: Message, /) -> None: ...
    def closed(self, code: int, reason: str | None = None, /) -> None: ...
    def unhandled_error(self, error: BaseException, /) -> None: ...


_NOBODY = _Nobody()


class Link(Outgoing):
    """One connection in the hands of a loop."""

    __slots__ = ("_crossed", "_hung_up", "_read_due", "_told_opened", "handler", "has_thread", "on_closed")

    def __init__(self, handler: Handler, transport: TransportLike, conn: Connection, loop: Loop) -> None:
        super().__init__(transport, conn, loop)
        self.handler = handler
        #: Called once, just before the handler's ``closed()``.
        self.on_closed: Callable[[], None] | None = None
        #: Whether it has a thread of its own, which calls the hooks.
        self.has_thread = False
        self._told_opened = False
        self._read_due = False  # there may be something to read that no poller tells of
        self._hung_up = False  # the poller has told all it knows
        self._crossed = False  # reading waits for writing, which TLS may want

    # --- the loop's side: one turn at a time ------------------------------------------------

    def wants(self) -> tuple[bool, bool]:
        """Return what to poll for: (readable, writable)."""
        reads = not (self.paused or self.held or self.conn.eof_received)
        return self.transport.interest(reads, self.blocked)

    def begin(self, early: bytes) -> None:
        """Take the bytes that came with the handshake, and arm the timers; the first turn does the rest."""
        with self._lock:
            if early:
                self.conn.receive_data(early, monotonic())
            self._schedule()

    def open(self) -> None:
        """Call ``opened()`` now, in the caller's thread."""
        self._tell_opened()
        if self.conn.state is _CLOSED:
            self._conclude()

    def adopt(self, transport: TransportLike, loop: Loop) -> None:
        """Pass into the hands of a loop; ``opened()`` was called before."""
        with self._lock:
            self.transport = transport
            former, self.loop = self.loop, loop
            self.fd = transport.fileno()
            self._told_opened = True
            self.timer = None  # whom it was told to before does not come back
            self._schedule()
        if not former.is_shared:
            former.released(self)  # the loop of one link alone

    def feed(self, data: bytes) -> None:
        """Take bytes from elsewhere than the transport, and call the hooks for all that is in them."""
        self._told_opened = True
        with self._lock:
            self.conn.receive_data(data, monotonic())
        self.turn()
        while not self.released and (self.conn.has_events or self.conn.has_more):
            if self.paused:
                # The bytes are here already: not to read them would spare nothing.
                with self._lock:
                    self._resume()
            self.turn()

    def read(self) -> None:
        """Read once from a transport that waits, and call the hooks for all that came."""
        self._told_opened = True
        with self._lock:
            waiter = self._add_waiter() if self.paused else None
        if waiter is not None:
            waiter.wait()
        self.turn(readable=True)
        while not self.released and not self.paused and (self.conn.has_events or self.conn.has_more):
            self.turn()

    def catch_up(self, since: float) -> None:
        """Note that nobody has read since some time, and reading goes on; the peer is not blamed for that."""
        with self._lock:
            if not self.paused and self.conn.state is not _CLOSED:
                self.conn.deadlines.pause(since)
                self.conn.resume(monotonic())
                self._schedule()

    def wait_released(self, timeout: float | None = None) -> bool:
        """
        Wait until the connection has ended and ``closed()`` was called.

        Returns:
            Whether that came in time.

        Raises:
            RuntimeError: It was called from a hook, which would wait for itself.
        """
        if self.is_mine or not self.loop.may_wait():
            raise RuntimeError("the end of a connection cannot be waited for in one of its hooks")
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                if self.released:
                    return True
                waiter = self._add_waiter()
            waiter.wait(None if deadline is None else max(deadline - monotonic(), 0))
            if deadline is not None and monotonic() >= deadline:
                return self.released

    def terminate(self) -> None:
        """
        End the connection without waiting for anything.

        The handler is told in the next turn, or here when the caller is the loop;
        but never while another callback runs, whose turn it is then to tell it.
        """
        with self._lock:
            self.conn.lose("Going away")
            self._settle()
            busy = self._busy is not None
        if not self.loop.is_shared and not busy:
            self._conclude()

    def drop(self) -> None:
        """End the connection at once, from within the loop: the handler is told, the transport closed."""
        with self._lock:
            self.conn.lose("Going away")
        self._conclude(tell=self._told_opened)  # who was not told of the beginning needs no end
        self.release()

    def on_fault(self, error: Exception) -> None:
        """End the connection at once, because of the system or of a fault of ours."""
        if isinstance(error, OSError):
            self._error = error.with_traceback(None)
        else:
            logger.error("a fault in the connection of %r", self.handler, exc_info=error)
        if self.held and self.held != self.loop.current():
            self.terminate()  # a callback may be running
        else:
            self.drop()

    def disown(self) -> None:
        """Forget, in a forked child, a connection that is its parent's: nothing may be said on it."""
        self._lock = self.loop.make_lock()  # whoever held it was not forked
        self.released = self._told_closed = True
        self._busy = self._waiters = None
        self.conn.lose("the connection belongs to the parent process")
        sock = getattr(self.transport, "sock", None)
        if isinstance(sock, _socket.socket):
            # Only this process' descriptor: neither shutdown() nor a last word of TLS.
            _socket.socket.close(sock)
        self.handler = _NOBODY
        self.on_closed = None

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

    def on_deadline(self, now: float) -> None:
        """See to the deadlines that have come."""
        self.timer = None
        with self._lock:
            self.conn.handle_deadline(now)
            self._flush()
            self._settle()
            if self.conn.deadlines.lifetime_over:
                self._again()

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
            if not conn.has_events:
                self._take_in(readable)
            self._dispatch()
        if conn.state is _CLOSED:
            self._conclude()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Ask for another turn, when there is something left that no poller tells of."""
        conn = self.conn
        if not self.paused and (
            conn.has_events or conn.has_more or self._hung_up or self.transport.pending()
        ):
            self.loop.again(self)

    def _take_in(self, readable: bool) -> None:
        """Let the core parse what is there, or else what can be read."""
        conn = self.conn
        if conn.has_more:
            with self._lock:
                conn.receive_data(b"", monotonic(), self._frames())
            return
        if not (readable or self._read_due or self._hung_up or self.transport.pending()):
            return
        self._read_due = False
        try:
            data = self.transport.recv(conn.policy.turn_bytes)
        except OSError as error:
            with self._lock:
                self._lose(error)
            return
        if data is None or self._crossed:
            crossed = self.transport.interest(True, False)[1]
            if crossed != self._crossed:
                self._crossed = crossed
                self._update()
        if data is None:
            return
        with self._lock:
            if data:
                conn.receive_data(data, monotonic(), self._frames())
            else:
                self._hung_up = False
                conn.receive_eof(monotonic())
                self._update()  # the end would be readable for ever

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
                elif isinstance(event, HookDue):
                    event.tell(handler)
                if conn.queued > high_water or self._inbox is not None or self._fragmenter is not None:
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

    def _tell_opened(self) -> None:
        self._told_opened = True
        self._callback(self.handler.opened)

    def _callback(self, function: Callable[..., object], *args: Any) -> None:
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
        others. A loop in the caller's own thread lets it through, and each one Ctrl-C.
        """
        if self.loop.is_shared and is_ctrl_c(error):
            raise error  # no fault of the handler's
        if isinstance(error, ConnectionClosed) and self.conn.state is not _OPEN:
            # The usual end of a hook that sends to a peer that has left in between: nobody's fault.
            logger.debug("%r has sent to a connection that is closed", self.handler)
            return
        logger.error("%r raised an exception; its connection is closed", self.handler, exc_info=error)
        with self._lock:
            self.conn.fail(CloseCode.INTERNAL_ERROR, "internal error", monotonic())
        if not isinstance(error, Exception) and not self.loop.is_shared:
            raise error

    def _conclude(self, tell: bool = True) -> None:
        """Tell the handler of the end, once, and let go of the transport when nothing is waited for."""
        for function, args in self._last_callbacks(tell):
            self._callback(function, *args)
        if self.conn.finished:
            self.release()

    def _last_callbacks(self, tell: bool) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """Note the end, and return what tells the handler of it; nothing when that was done before."""
        with self._lock:
            told, self._told_closed = self._told_closed, True
            self._wake_waiters()
            if self._inbox is not None:
                self._inbox.end()
        if not told:
            conclude(self)
            if self.on_closed is not None:
                self.on_closed()
        callbacks: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        if not told and tell:
            error = self._error
            if error is not None and not _is_the_peers(error):
                callbacks.append((self.handler.unhandled_error, (error,)))
            callbacks.append((self.handler.closed, (self.conn.close_code, self.conn.close_reason)))
        return callbacks

    def release(self) -> None:
        """Close the transport now; what was not said will not be."""
        with self._lock:
            if not self.released:
                self.released = True
                # The loop forgets the descriptor before its number can be given to another connection.
                self.loop.released(self)
                if self.conn.queued or self.blocked:
                    self.transport.abort()  # a FIN would wait behind what the peer does not read
                else:
                    self.transport.close()
                self._wake_waiters()
            if self._told_closed and self._busy is None:
                # A circle would keep both until some garbage collection.
                self.handler = _NOBODY
                self.on_closed = None

    # --- messages that are asked for ----------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """Put a message into the inbox, for :meth:`receive`."""
        with self._lock:
            # After close() nobody makes room any more, and the peer's Close frame is still to be read.
            self._open_inbox().put(message, is_last_call=self.conn.state is not _OPEN)

    def expect_receive(self) -> None:
        """Lose no message until it is asked for, from the first one on."""
        with self._lock:
            self._open_inbox().wanted = True

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
            message, waiter = self._take_message(self.loop.make_waiter)
            if waiter is None:
                return message
            try:
                waiter.wait(None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                inbox = self._forget_waiter(waiter)
            if deadline is not None and not (inbox or inbox.ended) and monotonic() >= deadline:
                raise TimeoutError(f"no message within {timeout:g} s")

    def _take_message(self, make_waiter: Callable[[], _Waker]) -> tuple[Message | None, _Waker | None]:
        """Take the next message, ``None`` at the end; or return what to wait for."""
        with self._lock:
            inbox = self._open_inbox()
            message = inbox.take()
            if message is not None:
                if self.paused and not self._must_pause():
                    self._resume()
                return message, None
            if inbox.ended:
                return None, None
            return None, inbox.add_waiter(make_waiter)

    def _forget_waiter(self, waiter: Waker) -> Inbox:
        with self._lock:
            inbox = self._open_inbox()
            inbox.remove_waiter(waiter)
            return inbox

    def _open_inbox(self) -> Inbox:
        if self._inbox is None:
            self._inbox = Inbox(self.conn.policy)
            self._inbox.ended = self._told_closed
        return self._inbox


def _is_the_peers(error: OSError) -> bool:
    return isinstance(error, _PEERS_ERRORS) or error.errno in _PEERS_ERRNOS
