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

import logging
import select
import sys
import threading
from typing import Any

from .handon import STOP_TIMEOUT, Crew
from .leading import Leading
from .pollers import (
    EPollPoller,
    ForeignPoller,
    KQueuePoller,
    Poller,
    SelectPoller,
    Ws4pyPoller,
)
from .websocket import WebSocket

__all__ = ["EPollPoller", "KQueuePoller", "SelectPoller", "WebSocketManager", "select"]

logger = logging.getLogger("ws4py_middleware")

#: How long a thread waits for the interpreter's lock until it asks the holder to let go: Python's own, and
#: ours; seconds. What is compiled hardly ever lets go of it by itself, so under a flood the web server's
#: threads pay this at each of their calls to the system, and it takes some sixty to let a client in.
_PYTHONS_INTERVAL = 0.005
_SWITCH_INTERVAL = 0.0005


class WebSocketManager(Leading):
    """
    Run WebSockets in one thread, by events.

    Args:
        poller: By default the best that the platform has. One's own poller needs
            ws4py's four methods: register, unregister, poll, release.
        max_threads: Most threads; all but one may be busy with handlers that block. 1 hands nothing on.
        handon_after: How long a callback runs before the loop goes on in another thread; seconds.

    The last two have defaults in the class, which count for the manager of the process, too:
    ``WebSocketManager.max_threads = 64``.

    It has :class:`threading.Thread`'s ``start()``, ``join()``, ``is_alive()``,
    ``name`` and ``daemon``, and may be started again after :meth:`stop`.
    """

    def __init__(
        self,
        poller: Poller | Ws4pyPoller | None = None,
        *,
        max_threads: int | None = None,
        handon_after: float | None = None,
    ) -> None:
        super().__init__(poller, max_threads, handon_after)
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
            if sys.getswitchinterval() == _PYTHONS_INTERVAL:  # somebody who has set another one knows why
                sys.setswitchinterval(_SWITCH_INTERVAL)
            self.running = True
            self.closing = False
            crew = Crew(self)
            thread = threading.Thread(target=crew.work, name=self.name, daemon=self.daemon)
            self._crew = crew
            crew.threads.add(thread)
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
            self._end_run()
        elif self.may_wait():
            crew.ended.wait()
            crew.wait_gone(STOP_TIMEOUT)

    def run(self) -> None:
        """Poll and dispatch in the caller's own thread, until :meth:`stop`."""
        self._open()
        self.running = True
        crew = self._crew = Crew(self)
        crew.work(stays=True)

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

    def _read_other(self, fd: int) -> bool:
        websocket = self._foreign.get(fd)
        if websocket is None:
            return False
        more = False
        if not websocket.terminated:
            try:
                more = websocket.once()
            except Exception:
                logger.exception("%r raised an exception", websocket)
        if not more:
            self._drop_foreign(websocket)
        return True

    def _drop_others(self) -> None:
        for websocket in list(self._foreign.values()):
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

    def _disown(self) -> None:
        super()._disown()
        self._foreign = {}

    def _wait_empty(self, timeout: float) -> bool:
        if not (self.is_alive() and self.may_wait()):
            return False
        self._emptied.wait(timeout)
        return True
