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
import math
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .core.machine import Machine
from .core.types import CloseCode
from .exc import ConnectionClosed
from .figures import conclude
from .inbox import Inbox, Waker
from .incoming import Handler, Incoming
from .loops import Loop, TransportLike
from .messaging import Message
from .native import monotonic
from .timers import NO_TICK

__all__ = ["Handler", "Link", "Loop", "TransportLike"]

logger = logging.getLogger("ws4py_middleware")

# A peer that goes away, or breaks TLS, is no error of this end's; nor is the network between.
_PEERS_ERRORS = (ConnectionError, TimeoutError, ssl.SSLError)
_PEERS_ERRNOS = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})

_Waker = TypeVar("_Waker", bound=Waker)


class _Nobody:
    """Whom a link belongs to when all has been said; it and the handler let go of each other."""

    def opened(self) -> None: ...
    def received_message(self, message: Message, /) -> None: ...
    def ponged(self, pong: Message, /) -> None: ...
    def closed(self, code: int, reason: str | None = None, /) -> None: ...
    def unhandled_error(self, error: BaseException, /) -> None: ...


_NOBODY = _Nobody()


class Link(Incoming):
    """One connection in the hands of a loop."""

    __slots__ = ("has_thread", "on_closed")

    def __init__(self, handler: Handler, transport: TransportLike, conn: Machine, loop: Loop) -> None:
        super().__init__(handler, transport, conn, loop)
        #: Called once, just before the handler's ``closed()``.
        self.on_closed: Callable[[], None] | None = None
        #: Whether it has a thread of its own, which calls the hooks.
        self.has_thread = False

    # --- the loop's side: one turn at a time ------------------------------------------------

    def begin(self, early: bytes) -> None:
        """Take the bytes that came with the handshake, and arm the timers; the first turn does the rest."""
        with self._lock:
            if early:
                self.conn.receive_data(early, monotonic())
            self._schedule()

    def open(self) -> None:
        """Call ``opened()`` now, in the caller's thread."""
        self._tell_opened()
        if self.conn.is_closed():
            self._conclude()

    def adopt(self, transport: TransportLike, loop: Loop) -> None:
        """Pass into the hands of a loop; ``opened()`` was called before."""
        with self._lock:
            former = self.loop
            self._join(transport, loop)
            self.fd = transport.fileno()
            self._told_opened = True
            # Whom it was told to before does not come back.
            self.timer, self.tick = math.inf, NO_TICK
            self._schedule()
        if not former.is_shared:
            former.released(self)  # the loop of one link alone

    def feed(self, data: bytes) -> None:
        """Take bytes from elsewhere than the transport, and call the hooks for all that is in them."""
        self._told_opened = True
        with self._lock:
            self.conn.receive_data(data, monotonic())
        self.turn()
        while not self.released and (self.conn.has_work()):
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
        while not self.released and not self.paused and (self.conn.has_work()):
            self.turn()

    def catch_up(self, since: float) -> None:
        """Note that nobody has read since some time, and reading goes on; the peer is not blamed for that."""
        with self._lock:
            if not self.paused and not self.conn.is_closed():
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
            in_time = waiter.wait(None if deadline is None else max(deadline - monotonic(), 0))
            if deadline is not None and not in_time:
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
            busy = self._busy != 0
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
        if self.held and self.held != self._current():
            self.terminate()  # a callback may be running
        else:
            self.drop()

    def disown(self) -> None:
        """Forget, in a forked child, a connection that is its parent's: nothing may be said on it."""
        self._lock = self.loop.make_lock()  # whoever held it was not forked
        self.released = self._told_closed = True
        self._busy = 0
        self._waiters = None
        self.tick = NO_TICK  # it stands in the parent's books
        self.conn.lose("the connection belongs to the parent process")
        sock = getattr(self.transport, "sock", None)
        if isinstance(sock, _socket.socket):
            # Only this process' descriptor: neither shutdown() nor a last word of TLS.
            _socket.socket.close(sock)
        self.handler = _NOBODY
        self.on_closed = None

    def on_deadline(self, now: float) -> None:
        """See to the deadlines that have come."""
        self.timer = math.inf
        with self._lock:
            self.conn.handle_deadline(now)
            self._flush()
            self._settle()
            if self.conn.deadlines.lifetime_over:
                self._again()

    def _tell_opened(self) -> None:
        self._told_opened = True
        self._callback(self.handler.opened)

    def _callback(self, function: Callable[..., object], *args: Any) -> None:
        """Run one callback; what it sends leaves in one piece when it is done."""
        self._busy = self._current()
        try:
            function(*args)
        except BaseException as error:  # noqa: BLE001 - see _handler_failed
            self._handler_failed(error)
        finally:
            self._busy = 0
            with self._lock:
                self._flush()
                self._settle()

    def _handler_failed(self, error: BaseException) -> None:
        """
        End one connection because of its handler, and no other.

        Not even ``sys.exit()`` in a handler ends a loop that runs the handlers of
        others. A loop in the caller's own thread lets it through, and each one Ctrl-C.
        """
        if self.loop.is_shared and _is_ctrl_c(error):
            raise error  # no fault of the handler's
        if isinstance(error, ConnectionClosed) and not self.conn.is_open():
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
                if self.conn.get_queued() or self.blocked:
                    self.transport.abort()  # a FIN would wait behind what the peer does not read
                else:
                    self.transport.close()
                self._wake_waiters()
            if self._told_closed and not self._busy:
                # A circle would keep both until some garbage collection.
                self.handler = _NOBODY
                self.on_closed = None

    # --- messages that are asked for ----------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """Put a message into the inbox, for :meth:`receive`."""
        with self._lock:
            # After close() nobody makes room any more, and the peer's Close frame is still to be read.
            self._open_inbox().put(message, is_last_call=not self.conn.is_open())

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
                in_time = waiter.wait(None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                inbox = self._forget_waiter(waiter)
            if deadline is not None and not (in_time or inbox or inbox.ended):
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


def _is_ctrl_c(error: BaseException) -> bool:
    """Tell whether somebody wants the whole program to end, while by chance a hook was running."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _is_the_peers(error: OSError) -> bool:
    return isinstance(error, _PEERS_ERRORS) or error.errno in _PEERS_ERRNOS
