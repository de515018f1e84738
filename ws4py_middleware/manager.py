"""
The manager: one thread for all WebSockets of a process.

It is born when the first WebSocket arrives, and so after any fork; it polls,
reads, calls the hooks, and sends. Nothing in it waits for a single peer. When
the interpreter exits, every peer is sent a Close frame with 1001.

Handlers run inline, one at a time, because that is fast. One that blocks, because
it calls a database, does not stall the others: the loop is handed on to another
thread, see :mod:`.handon`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from _thread import RLock, get_ident
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from .handon import STOP_TIMEOUT, Crew
from .link import Link
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
from .websocket import WebSocket

if TYPE_CHECKING:
    import _socket

    from .inbox import Waiter

__all__ = ["EPollPoller", "KQueuePoller", "SelectPoller", "WebSocketManager", "select"]

logger = logging.getLogger("ws4py_middleware")


class WebSocketManager(Registry):
    """
    Run WebSockets in one thread, by events.

    Args:
        poller: By default the best that the platform has. One's own poller needs
            ws4py's four methods: register, unregister, poll, release.
        max_threads: Most threads; all but one may be busy with handlers that block.
        handon_after: How long a callback runs before the loop goes on in another thread; ``None``: for ever.

    It has :class:`threading.Thread`'s ``start()``, ``join()``, ``is_alive()``,
    ``name`` and ``daemon``, and may be started again after :meth:`stop`.
    """

    def __init__(
        self,
        poller: Poller | Ws4pyPoller | None = None,
        *,
        max_threads: int = 32,
        handon_after: float | None = 0.005,
    ) -> None:
        super().__init__()
        self.max_threads = max_threads
        self.handon_after = handon_after
        self.running = False
        self.name = "WebSocketManager"
        self.daemon = False
        self._given_poller = poller
        self._poller: Poller | None = None
        self._crew: Crew | None = None
        self._ident: int | None = None  # of the thread that polls
        self._wake_fds: tuple[int, int] | None = None
        self._woken = False
        self._turns: deque[Link] = deque()
        self._queued_turns: set[Link] = set()
        self._sinks: dict[int, _socket.socket] = {}
        # WebSockets that are not of our class, but have its once() and terminate().
        self._foreign: dict[int, Any] = {}

    # --- the thread --------------------------------------------------------------------------

    def start(self) -> None:
        """
        Start the thread.

        Raises:
            RuntimeError: It runs already.
        """
        with self.lock:
            if self.is_alive():
                raise RuntimeError("the manager has been started already")
            self._open()
            self.running = True
            self.closing = False
            crew = Crew(self)
            thread = threading.Thread(target=crew.work, name=self.name, daemon=self.daemon)
            self._crew = crew
            try:
                thread.start()
            except RuntimeError:
                self._crew = None
                raise

    def join(self, timeout: float | None = None) -> None:
        """
        Wait until it ends, which :meth:`stop` makes it do.

        Raises:
            RuntimeError: It was called from a hook, which would wait for itself.
        """
        if not self.may_wait():
            raise RuntimeError("a hook cannot wait for the end of its manager")
        crew = self._crew
        if crew is not None:
            crew.ended.wait(timeout)

    def is_alive(self) -> bool:
        """Return whether it runs."""
        return self._crew is not None and not self._crew.ended.is_set()

    @property
    def is_ready(self) -> bool:
        """Whether connections are served, or are refused because it is closing."""
        return self.closing or self.is_alive()

    @property
    def is_ending(self) -> bool:
        """Whether nobody will be served here any more, unless it is started again."""
        return self.closing or not self.running

    def stop(self) -> None:
        """
        End the thread, and drop the connections that are still open.

        Close them first, with :meth:`close_all`, or use :meth:`shutdown`, which
        does that and waits. Again does nothing. Hooks that block have a second to
        return; those that do not are left behind, and hear of the end afterwards.
        """
        self.running = False
        self._wake()
        crew = self._crew
        if crew is None or crew.ended.is_set():
            self._crew = None
            self._drop_all(Crew(self), [])
            self._close()
        elif self.may_wait():
            crew.ended.wait()
            crew.wait_gone(STOP_TIMEOUT)

    def run(self) -> None:
        """Poll and dispatch in the caller's own thread, until :meth:`stop`."""
        self._open()
        self.running = True
        crew = self._crew = Crew(self)
        crew.work()

    def _lead(self, crew: Crew, running: list[Link]) -> Link | None:
        """
        Poll and dispatch until :meth:`stop`, and drop what is left.

        Args:
            running: The link whose turn it is, for the crew to take it out.

        Returns:
            The link in whose turn the loop was handed on to another thread; ``None``: all is done.
        """
        self._ident = get_ident()
        poller = self._open_poller()
        while self.running and self._crew is crew:
            ready = poller.wait(self._timeout())
            crew.rounds += 1
            if crew.asleep:
                crew.wake()
            link = self._dispatch(ready, crew, running)
            if link is None and self._turns:
                link = self._take_turns(crew, running)
            if link is not None:
                return link
            self._take_timers()
        return self._drop_all(crew, running)

    def _end_run(self, crew: Crew) -> None:
        if self._crew is crew:
            self._close()
            self._ident = None

    def _timeout(self) -> float | None:
        if self._turns:
            if isinstance(self._poller, ForeignPoller):
                self._poke()  # it cannot be told not to wait
            return 0
        when = self._timers.next()
        return None if when is None else max(when - monotonic(), 0)

    def _dispatch(self, ready: list[tuple[int, int]], crew: Crew, running: list[Link]) -> Link | None:
        links, slow = self._links, crew.slow
        for fd, events in ready:
            link = links.get(fd)
            if link is None:
                self._dispatch_other(fd)
                continue
            if link.held:
                self._tend(link, events)
                continue
            if slow and events != WRITE and type(link.handler) in slow and crew.give(link):
                continue
            running.append(link)
            try:
                if events & WRITE:
                    link.on_writable()
                if events & READ:
                    link.on_readable()
                elif events & HANGUP:
                    link.on_hangup()
                    link.on_readable()
            except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
                link.on_fault(error)
            try:
                running.pop()
            except IndexError:
                return link  # another thread has taken the loop, and so the rest of the round
        return None

    def _tend(self, link: Link, events: int) -> None:
        """See to a link that another thread has: it is not read from, but it may be sent to."""
        try:
            if events & WRITE:
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
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 4096)
            # Only now: who finds it still set has queued its work already, and that comes next.
            self._woken = False
        elif fd in self._sinks:
            self._read_sink(fd)
        elif fd in self._foreign:
            self._run_foreign(fd)
        else:
            with self.lock:
                # It was closed behind our back, or in this very round; and its number not given away yet.
                if fd not in self._links:
                    self._open_poller().unregister(fd)

    def _take_turns(self, crew: Crew, running: list[Link]) -> Link | None:
        """Give each link that asked one turn; those that ask again meanwhile wait for the next round."""
        slow = crew.slow
        crew.rounds += 1
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
        for websocket in list(self._foreign.values()):
            self._drop_foreign(websocket)
        with self.lock:
            sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.close()
        self._turns.clear()
        self._queued_turns.clear()
        return None

    def _cut(self, link: Link) -> bool:
        with link._lock:
            if link.held:
                link.cut()
            return link.held != 0

    # --- what links ask for: any thread --------------------------------------------------------

    is_shared = True

    # The calling thread; asked for with each message, so without a call in between.
    current = staticmethod(get_ident)

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: every thread but those in which hooks are called."""
        crew = self._crew
        return crew is None or get_ident() not in crew.idents

    def make_waiter(self) -> Waiter:
        """Return what a thread waits on."""
        return threading.Event()

    def make_lock(self) -> Any:
        """Return the lock of one link: the kernel's own, also under gevent's monkey-patching."""
        return RLock()

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

    def schedule(self, link: Link, when: float) -> None:
        """Come back to a link at a point in time."""
        if self._timers.set(link, when):
            self._wake()

    def released(self, link: Link) -> None:
        """Forget a link whose transport is about to be closed."""
        self._timers.cancel(link)
        if self._forget(link) and self._poller is not None:
            self._poller.unregister(link.fd)

    # --- WebSockets ----------------------------------------------------------------------------

    def add(self, websocket: Any) -> None:
        """
        Manage a WebSocket that was made by hand: its ``opened()`` is called, then its socket is polled.

        One that is managed already is left alone.
        """
        if isinstance(websocket, WebSocket):
            self._add(websocket)
            return
        fd = websocket.sock.fileno()
        with self.lock:
            if websocket in self or fd in self._foreign or id(websocket) in self._adding:
                return
            self._adding.add(id(websocket))
        try:
            websocket.opened()
            with self.lock:
                self._open_poller().register(fd)
                self._foreign[fd] = websocket
            self._wake()
        finally:
            self._adding.discard(id(websocket))

    def remove(self, websocket: Any) -> None:
        """Stop managing a WebSocket, which goes on without; its ``closed()`` is not called."""
        if isinstance(websocket, WebSocket):
            link = websocket._link
            if link is not None and self._forget(link):
                self._timers.cancel(link)
                self._open_poller().unregister(link.fd)
            return
        with self.lock:
            fds = [fd for fd, other in self._foreign.items() if other is websocket]
            for fd in fds:
                del self._foreign[fd]
        for fd in fds:
            self._open_poller().unregister(fd)

    @property
    def websockets(self) -> dict[int, Any]:
        """The WebSockets by their file descriptors; a copy."""
        with self.lock:
            return {**super().websockets, **self._foreign}

    @property
    def poller(self) -> Poller | Ws4pyPoller:
        """The poller; one's own, if there is one."""
        poller = self._open_poller()
        return poller.poller if isinstance(poller, ForeignPoller) else poller

    def __len__(self) -> int:
        return len(self._links) + len(self._foreign)

    def __contains__(self, websocket: object) -> bool:
        return super().__contains__(websocket) or any(other is websocket for other in self._foreign.values())

    def broadcast(self, message: Any, binary: bool = False) -> int:
        """Send a message to all; see :meth:`.Registry.broadcast`. Those of other classes may have us wait."""
        count = super().broadcast(message, binary)
        for websocket in list(self._foreign.values()):
            if not websocket.terminated:
                try:
                    websocket.send(message, binary)
                    count += 1
                except Exception:
                    logger.exception("%r could not be sent to", websocket)
        return count

    def _run_foreign(self, fd: int) -> None:
        websocket = self._foreign.get(fd)
        if websocket is None:
            return
        more = False
        if not websocket.terminated:
            try:
                more = websocket.once()
            except Exception:
                logger.exception("%r raised an exception", websocket)
        if not more:
            self._drop_foreign(websocket)

    def _drop_foreign(self, websocket: Any) -> None:
        self.remove(websocket)
        if not websocket.terminated:
            try:
                websocket.terminate()
            except Exception:
                logger.exception("%r raised an exception", websocket)

    # --- inside --------------------------------------------------------------------------------

    def _loop(self) -> WebSocketManager:
        return self

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
        self._sinks, self._foreign = {}, {}

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

    def _wait_empty(self, timeout: float) -> bool:
        if not (self.is_alive() and self.may_wait()):
            return False
        self._emptied.wait(timeout)
        return True

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
                self._woken = True
                with contextlib.suppress(BlockingIOError):
                    os.write(self._wake_fds[1], b"\0")
