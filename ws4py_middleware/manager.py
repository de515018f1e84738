"""
The manager: one thread for all WebSockets of a process.

It is born when the first WebSocket arrives, and so after any fork; it polls,
reads, calls the hooks, and sends. Nothing in it waits for a single peer. When
the interpreter exits, every peer is sent a Close frame with 1001.

Handlers run inline, one at a time, because that is fast; a handler that has to
wait for something belongs into a function of its own thread (``def f(ws,
**params)``).
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

    It has :class:`threading.Thread`'s ``start()``, ``join()``, ``is_alive()``,
    ``name`` and ``daemon``, and may be started again after :meth:`stop`.
    """

    def __init__(self, poller: Poller | Ws4pyPoller | None = None) -> None:
        super().__init__()
        self.running = False
        self.name = "WebSocketManager"
        self.daemon = False
        self._given_poller = poller
        self._poller: Poller | None = None
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._stopped = threading.Event()
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
            if self._thread is not None and self._thread.is_alive():
                raise RuntimeError("the manager has been started already")
            self._open()
            self.running = True
            self.closing = False
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=self.daemon)
            self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread ends, which :meth:`stop` makes it do."""
        if self._thread is not None:
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

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
        does that and waits. Again does nothing.
        """
        self.running = False
        self._wake()
        thread = self._thread
        if thread is not None and thread.is_alive():
            if thread is not threading.current_thread():
                thread.join()
        elif self._ident is None:
            self._drop_all()
            self._close()
        elif self._ident != get_ident():
            self._stopped.wait()

    def run(self) -> None:
        """Poll and dispatch in the caller's own thread, until :meth:`stop`."""
        self.running = True
        self._run()

    def _run(self) -> None:
        poller = self._open()
        self._stopped.clear()
        self._ident = get_ident()
        try:
            while self.running:
                self._dispatch(poller.wait(self._timeout()))
                if self._turns:
                    self._take_turns()
                self._take_timers()
        finally:
            self._drop_all()
            self._close()
            self._ident = None
            self._stopped.set()

    def _timeout(self) -> float | None:
        if self._turns:
            if isinstance(self._poller, ForeignPoller):
                self._poke()  # it cannot be told not to wait
            return 0
        when = self._timers.next()
        return None if when is None else max(when - monotonic(), 0)

    def _dispatch(self, ready: list[tuple[int, int]]) -> None:
        links = self._links
        for fd, events in ready:
            link = links.get(fd)
            if link is None:
                self._dispatch_other(fd)
                continue
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

    def _take_turns(self) -> None:
        """Give each link that asked one turn; those that ask again meanwhile wait for the next round."""
        for _ in range(len(self._turns)):
            link = self._turns.popleft()
            self._queued_turns.discard(link)
            try:
                link.turn()
            except Exception as error:  # noqa: BLE001 - as in _dispatch
                link.on_fault(error)

    def _drop_all(self) -> None:
        for link in list(self._links.values()):
            link.drop()
        for websocket in list(self._foreign.values()):
            self._drop_foreign(websocket)
        with self.lock:
            sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.close()
        self._turns.clear()
        self._queued_turns.clear()

    # --- what links ask for: any thread --------------------------------------------------------

    is_shared = True

    # The calling thread; asked for with each message, so without a call in between.
    current = staticmethod(get_ident)

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: every thread but the manager's."""
        return get_ident() != self._ident

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
        self._wake_fds = self._thread = self._ident = None
        self.running = self._woken = False
        self._stopped, self._emptied = threading.Event(), threading.Event()
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
        if not self.is_alive() or threading.current_thread() is self._thread:
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
