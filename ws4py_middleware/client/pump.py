"""
The loop of a client that no manager has: it runs in the thread of whoever waits.

Nothing happens between two calls. Who waits for a message, for room, or for the end,
polls the socket meanwhile, calls the hooks and sees to the timers; who waits at the
same time in another thread is told when something has changed.
"""

from __future__ import annotations

import contextlib
import errno
import math
import select
import socket
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING

from ..native import Lock, get_ident

if TYPE_CHECKING:
    from ..inbox import Waiter
    from ..link import Link

__all__ = ["Pump"]


class _Waiter:
    """An event for whose sake its thread pumps."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._is_set = False

    def set(self) -> None:
        """Let the one who waits go on."""
        self._is_set = True
        self._pump.poke()

    def wait(self, timeout: float | None = None) -> bool:
        """Pump until it is set; return whether it is."""
        return self._pump.drive(lambda: self._is_set, timeout)


class Pump:
    """The loop of one link; see :class:`~ws4py_middleware.outgoing.Loop`."""

    #: A hook's ``sys.exit()``, and Ctrl-C, go through to the caller.
    is_shared = False
    is_threaded = True

    def __init__(self) -> None:
        self._link: Link | None = None
        self._changed = threading.Condition(threading.Lock())
        #: The thread that polls.
        self._leader: int | None = None
        self._left_at = monotonic()
        self._turn_due = True
        self._deadline: float | None = None
        #: Whether nothing more is to be learned from polling.
        self._ignored = False
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._rounds = 0

    def bind(self, link: Link) -> None:
        """Belong to a link from now on."""
        self._link = link

    # --- what a link asks for: any thread -------------------------------------------------------

    current = staticmethod(get_ident)

    def may_wait(self) -> bool:
        """Everybody may: who waits pumps, and in a hook lets the peer take what was sent."""
        return True

    def make_waiter(self) -> Waiter:
        """Return an event for whose sake its thread pumps."""
        return _Waiter(self)

    def make_lock(self) -> Lock:
        """Return the lock of the link."""
        return Lock()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a thread of its own."""
        threading.Thread(target=function, name=name, daemon=True).start()

    def again(self, link: Link) -> None:
        """Give the link a turn with the next round."""
        self._turn_due = True
        self.poke()

    def update(self, link: Link) -> None:
        """Poll for what the link wants now."""
        self.poke()

    def ignore(self, link: Link) -> None:
        """Poll no more."""
        self._ignored = True

    def schedule(self, link: Link, when: float) -> None:
        """Come back at a point in time."""
        self._deadline = when
        self.poke()

    def released(self, link: Link) -> None:
        """Let everybody go on who waits, and let go of the link: nothing waits for the garbage collector."""
        self._link = None
        self._deadline = None
        self.poke()
        with self._changed:
            if self._leader is None:
                self._close_wake()

    def poke(self) -> None:
        """Tell those who wait in other threads that something has changed."""
        me = get_ident()
        with self._changed:
            self._changed.notify_all()
            if self._leader not in (None, me) and self._wake is not None:
                with contextlib.suppress(BlockingIOError):
                    self._wake[1].send(b"\0")

    # --- pumping --------------------------------------------------------------------------------

    def drive(self, until: Callable[[], bool], timeout: float | None = None) -> bool:
        """
        Pump until something is so, or the time is over; return whether it is.

        Within a hook only writing goes on: hooks are called one after the other.
        """
        deadline = None if timeout is None else monotonic() + timeout
        me = get_ident()
        has_looked = False  # who waits for no time at all looks once nevertheless
        while not until():
            if (has_looked and _has_come(deadline)) or self._is_over():
                return False
            has_looked = True
            if self._leader == me:
                self._round(deadline, hooks=False)
                continue
            with self._changed:
                if until():
                    break
                if self._leader is not None:
                    self._changed.wait(None if deadline is None else max(deadline - monotonic(), 0))
                    continue
                self._leader = me
            with self._leading():
                self._lead(until, deadline)
        return True

    @contextlib.contextmanager
    def hook(self) -> Iterator[None]:
        """
        Let the caller run a hook that is called in no round; whoever waits meanwhile waits for its end, too.

        Raises:
            OSError: There are no descriptors left.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._leader is None)
            self._leader = get_ident()
        with self._leading():
            yield

    def once(self) -> None:
        """Wait until there is something to do, and do it."""
        before = self._rounds
        self.drive(lambda: self._rounds != before)

    def drain(self) -> None:
        """Wait until the network has taken what was sent, or is gone; unless somebody does that already."""
        link = self._link
        if link is None or self._leader is not None or link.released:
            return
        # Of a connection that was lost the handler is told now: perhaps nobody ever waits again.
        self.drive(lambda: link.released if link.conn.finished else not link.blocked)

    @contextlib.contextmanager
    def _leading(self) -> Iterator[None]:
        """Be prepared for rounds, and let others lead at the end; the caller has made itself the leader."""
        try:
            if self._wake is None:
                self._wake = socket.socketpair()
                for sock in self._wake:
                    sock.setblocking(False)
            yield
        finally:
            self._left_at = monotonic()
            with self._changed:
                self._leader = None
                if self._is_over():
                    self._close_wake()
                self._changed.notify_all()

    def _lead(self, until: Callable[[], bool], deadline: float | None) -> None:
        link = self._link
        if link is None:
            return
        # Nobody has read since then, and the peer is not to blame for it.
        link.catch_up(self._left_at)
        while not (until() or link.released):
            self._round(deadline, hooks=True)
            self._rounds += 1
            if _has_come(deadline):
                break

    def _round(self, deadline: float | None, *, hooks: bool) -> None:
        """Poll once, and do what there is to do: reading before the timers, which may have come late."""
        link = self._link
        if link is None:
            return
        self._poll(link, deadline, hooks)
        if hooks and self._turn_due:
            self._turn_due = False
            link.turn()
        now = monotonic()
        if self._deadline is not None and self._deadline <= now:
            self._deadline = None
            link.on_deadline(now)

    def _poll(self, link: Link, deadline: float | None, hooks: bool) -> None:
        assert self._wake is not None
        wake = self._wake[0]
        poller = select.poll()  # not select(): it knows no descriptor above 1023
        poller.register(wake, select.POLLIN)
        fd = link.transport.fileno()
        if fd < 0 and hooks:
            # Nobody tells of it, and nobody else will look.
            link.on_fault(OSError(errno.EBADF, "the application has closed the socket, not the WebSocket"))
            return
        if fd >= 0 and not self._ignored:
            read, write = link.wants() if hooks else link.transport.interest(False, link.blocked)
            poller.register(fd, read * select.POLLIN | write * select.POLLOUT)
        for ready, events in poller.poll(self._timeout(deadline, hooks)):
            if ready == wake.fileno():
                wake.recv(4096)
                continue
            if events & select.POLLOUT or not hooks:
                link.on_writable()  # within a hook, reading is only what writing under TLS may wait for
            if events & select.POLLIN and hooks:
                link.on_readable()
            elif events & (select.POLLHUP | select.POLLERR):
                link.on_hangup()
                if hooks:
                    link.on_readable()

    def _timeout(self, deadline: float | None, hooks: bool) -> float | None:
        """Return milliseconds, never less than what is left: that would be a busy loop."""
        if hooks and self._turn_due:
            return 0
        times = [when for when in (deadline, self._deadline) if when is not None]
        return math.ceil(max(min(times) - monotonic(), 0) * 1000) if times else None

    def _is_over(self) -> bool:
        link = self._link
        return link is None or link.released

    def _close_wake(self) -> None:
        pair, self._wake = self._wake, None
        for sock in pair or ():
            sock.close()


def _has_come(deadline: float | None) -> bool:
    return deadline is not None and monotonic() >= deadline
