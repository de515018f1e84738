"""
Leading: what a thread does while it leads the loop of a manager.

It polls, gives each link its turn, and sees to the timers, until it is told to stop, or finds that the
loop was handed on to another thread while it was in a turn; see :mod:`.handon`. There is one leader at
any time, and what other threads want of it stands in queues.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .dispatching import Led, dispatch, lead
from .handon import Crew
from .link import Link
from .native import Lock, get_ident, monotonic
from .pollers import (
    HANGUP,
    READ,
    WRITE,
    EPollPoller,
    ForeignPoller,
    KQueuePoller,
    Poller,
    SelectPoller,
    Ws4pyPoller,
    default_poller,
)
from .registry import Registry

if TYPE_CHECKING:
    import _socket

    from .inbox import Waiter

__all__ = ["Leading"]

logger = logging.getLogger("ws4py_middleware")


class Leading(Led, Registry):
    """
    A manager that polls, as far as its loop is concerned.

    Args:
        poller: By default the best that the platform has.
        max_threads: In place of :attr:`max_threads`.
        handon_after: In place of :attr:`handon_after`.

    Raises:
        ValueError: One of them is out of its range.
    """

    #: Most threads; all but one may be busy with handlers that block. 1 hands nothing on.
    max_threads: int = 32
    #: How long a callback runs before the loop goes on in another thread, in seconds; ``None``: for ever.
    handon_after: float | None = 0.005

    # How long a round of turns that were asked for may take, where everybody else waits meanwhile; seconds.
    _turns_time: float = math.inf

    def __init__(
        self, poller: Poller | Ws4pyPoller | None, max_threads: int | None, handon_after: float | None
    ) -> None:
        Led.__init__(self)
        Registry.__init__(self)
        if max_threads is not None:
            if max_threads < 1:
                raise ValueError(f"max_threads is {max_threads}; it is at least 1, which hands nothing on")
            self.max_threads = max_threads
        if handon_after is not None:
            if handon_after <= 0:
                raise ValueError(f"handon_after is {handon_after}; it is a number of seconds above 0")
            self.handon_after = handon_after
        self.name = "WebSocketManager"
        self.daemon = False
        self._given_poller = poller
        self._poller: Poller | None = None
        self._crew: Crew | None
        self._ident: int | None = None  # of the thread that polls
        self._wake_fds: tuple[int, int] | None = None
        self._woken = False
        self._queued_turns: set[Link] = set()
        self._sinks: dict[int, _socket.socket] = {}

    # --- the loop --------------------------------------------------------------------------------

    def _lead(self, crew: Crew, running: list[Link]) -> Link | None:
        """
        Poll and dispatch until :meth:`stop`, and drop what is left.

        Args:
            running: The link whose turn it is, for the crew to take it out.

        Returns:
            The link in whose turn the loop was handed on to another thread; ``None``: all is done.
        """
        self._ident = get_ident()
        link = lead(self, self._open_poller(), crew, running)
        return self._drop_all(crew, running) if link is None else link

    def _end_run(self) -> None:
        """Let go of all that is no link."""
        self._drop_others()
        with self.lock:
            sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.close()
        self._turns.clear()
        self._queued_turns.clear()
        self._close()
        self._ident = None

    def _dispatch(self, ready: list[tuple[int, int]], crew: Any, running: list[Link]) -> Link | None:
        """Give those who are ready their turn; see :func:`.dispatching.dispatch`."""
        return dispatch(self, ready, crew, running)

    def _tend(self, link: Link, events: int) -> None:
        """See to a link that another thread has: it is not read from, but it may be sent to."""
        try:
            with link._lock:
                if not link.held:
                    return  # it has just come back, and is told again
                if events & WRITE or link.blocked:  # TLS may have to read before it can write
                    link.on_writable()
                if events & HANGUP:
                    link.on_hangup()
                    self.ignore(link)  # it would be told for ever
                elif events & READ:
                    self.update(link)
        except Exception as error:  # noqa: BLE001 - as in _dispatch
            link.on_fault(error)

    def _dispatch_other(self, fd: int) -> None:
        wake = self._wake_fds
        if wake is not None and fd == wake[0]:
            with self.lock:  # a byte that is read here was noted before
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 4096)
                # Only now: who finds it still set has queued its work already, and that comes next.
                self._woken = False
        elif fd in self._sinks:
            self._read_sink(fd)
        elif not self._read_other(fd):
            with self.lock:
                # It was closed behind our back, or in this very round; and its number not given away yet.
                if fd not in self._links:
                    self._open_poller().unregister(fd)

    def _take_turns(self, crew: Any, running: list[Link]) -> Link | None:
        """Give each link that asked one turn; those that ask again meanwhile wait for the next round."""
        slow, until = crew.slow, monotonic() + self._turns_time
        crew.rounds += 1
        if crew.asleep:
            crew.wake()
        for _ in range(len(self._turns)):
            link = self._turns.popleft()
            self._queued_turns.discard(link)
            if link.held and self._defer(link):
                continue
            if slow and type(link.handler) in slow and crew.give(link):
                continue
            running.append(link)
            try:
                link.turn()
            except Exception as error:  # noqa: BLE001 - as in _dispatch
                link.on_fault(error)
            try:
                running.pop()
            except IndexError:
                return link
            if monotonic() >= until:
                break
        return None

    def _defer(self, link: Link) -> bool:
        with link._lock:
            link.turn_due = link.held != 0
            return link.turn_due

    def _watch_again(self, link: Link) -> None:
        """Poll for a link again; its lock is held."""
        poller = self._poller
        if poller is None or link.released or self._links.get(link.fd) is not link:
            return
        with contextlib.suppress(OSError):  # it was closed behind our back
            poller.register(link.fd, *link.wants())
        if poller.needs_wake:
            self._wake()

    def _take_links(self) -> list[Link]:
        with self.lock:
            return list(self._links.values())

    def _drop_all(self, crew: Crew, running: list[Link]) -> Link | None:
        """End all connections; those whose hooks are running are told when these return."""
        crew.rounds += 1
        if crew.asleep and crew is self._crew:
            crew.wake()
        for link in self._take_links():
            if link.held and self._cut(link):
                continue
            running.append(link)
            link.drop()
            try:
                running.pop()
            except IndexError:
                return link
        return None

    def _cut(self, link: Link) -> bool:
        """Cut the connection of a link that another thread has; return whether one has."""
        with link._lock:
            if link.held:
                link.cut()
            return link.held != 0

    @abstractmethod
    def _read_other(self, fd: int) -> bool:
        """Read what is no link, if there is such under a number; return whether there is."""

    @abstractmethod
    def _drop_others(self) -> None:
        """End what is no link."""

    # --- what links ask for: any thread --------------------------------------------------------

    is_shared = True
    is_threaded = True

    # The calling thread; asked for with each message, so without a call in between.
    current = staticmethod(get_ident)

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: every thread but those in which hooks are called."""
        crew = self._crew
        return crew is None or get_ident() not in crew.idents

    def make_waiter(self) -> Waiter:
        """Return what a thread waits on."""
        return threading.Event()

    def make_lock(self) -> Lock:
        """Return the lock of one link: the kernel's own, also under gevent's monkey-patching."""
        return Lock()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a thread of its own."""
        threading.Thread(target=function, name=name, daemon=True).start()

    def again(self, link: Link) -> None:
        """Give a link a turn soon."""
        if link not in self._queued_turns:
            self._queued_turns.add(link)
            self._turns.append(link)
        self._wake()

    def update(self, link: Link) -> None:
        """Poll for what a link wants now."""
        poller = self._poller
        if poller is not None and not link.released:
            read, write = link.wants()
            poller.modify(link.fd, read, write)
            if poller.needs_wake:
                self._wake()

    def ignore(self, link: Link) -> None:
        """Poll for a link no more."""
        if self._poller is not None:
            self._poller.unregister(link.fd)

    def schedule(self, link: Any, when: float) -> None:
        """Come back to a link at a point in time."""
        if self._timers.set(link, when):
            self._timer_moved = True
            self._wake()

    def released(self, link: Link) -> None:
        """Forget a link whose transport is about to be closed."""
        self._timers.cancel(link)
        if self._forget(link) and self._poller is not None:
            self._poller.unregister(link.fd)

    # --- inside --------------------------------------------------------------------------------

    def _begin(self, link: Link) -> None:
        # In one: the thread must not find a descriptor that is polled and stands in no book.
        with self.lock:
            self._open_poller().register(link.fd, *link.wants())
            self._enter(link)
        self.again(link)

    def _disown(self) -> None:
        super()._disown()
        self._poller = None
        given = self._given_poller
        if isinstance(given, EPollPoller | KQueuePoller | SelectPoller):
            # The kernel's object is one and the same in both processes.
            self._given_poller = type(given)(given.timeout)
        for fd in self._wake_fds or ():
            os.close(fd)
        for sink in self._sinks.values():
            sink.close()
        if self._crew is not None:
            self._crew.disown()
        self._wake_fds = self._crew = self._ident = None
        self.running = self._woken = False
        self._emptied = threading.Event()
        self._turns, self._queued_turns = deque(), set()
        self._sinks = {}

    def _swallow(self, sink: _socket.socket) -> None:
        with self.lock:
            self._sinks[sink.fileno()] = sink
            poller = self._open_poller()
            poller.register(sink.fileno())
        if poller.needs_wake:
            self._wake()

    def _read_sink(self, fd: int) -> None:
        sink = self._sinks[fd]
        try:
            if sink.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError as error:
            logger.debug("the server has reset its dummy: %s", error)
        with self.lock:
            self._open_poller().unregister(fd)
            self._sinks.pop(fd, None)
        sink.close()

    def _open_poller(self) -> Poller:
        with self.lock:
            if self._poller is None:
                given = self._given_poller
                if given is None:
                    self._poller = default_poller()
                else:
                    self._poller = given if isinstance(given, Poller) else ForeignPoller(given)
            return self._poller

    def _open(self) -> Poller:
        """Have a poller, and a way to wake it."""
        with self.lock:
            poller = self._open_poller()
            if self._wake_fds is None:
                self._wake_fds = read, write = os.pipe()
                os.set_blocking(read, False)
                os.set_blocking(write, False)
                poller.register(read)
                if not isinstance(poller, ForeignPoller):
                    # Those that came while the last run ended; again does no harm.
                    for link in self._links.values():
                        poller.register(link.fd, *link.wants())
            return poller

    def _close(self) -> None:
        with self.lock:
            if self._wake_fds is not None:
                read, write = self._wake_fds
                self._wake_fds = None
                self._woken = False
                self._open_poller().unregister(read)
                os.close(read)
                os.close(write)
            if self._poller is not None:
                self._poller.release()

    def _wake(self) -> None:
        """Let the poller return; from the thread itself there is no need."""
        if get_ident() != self._ident and not self._woken:
            self._poke()

    def _poke(self) -> None:
        with self.lock:
            if self._wake_fds is not None and not self._woken:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._wake_fds[1], b"\0")
                # Only now: what a Ctrl-C in between had left noted, and not written, would wake nobody again.
                self._woken = True
