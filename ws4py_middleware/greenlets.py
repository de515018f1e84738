"""
The manager for gevent: the same contract, met with greenlets.

Each connection has one greenlet, in which its hooks run and may wait as gevent's
code does. What never waits, sending on and the timers, happens in the hub.
Which manager a connection gets is told by its socket, not by monkey-patching.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Hashable
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.exceptions import LoopExit
from gevent.lock import Semaphore

from .direct import SourceTransport
from .handover import from_socket
from .link import Link
from .registry import Registry
from .timers import TimerHeap
from .websocket import WebSocket

if TYPE_CHECKING:
    import _socket

__all__ = ["GreenletManager"]

logger = logging.getLogger("ws4py_middleware")

# libev's flags.
_READ, _WRITE = 1, 2


class _Seat:
    """The greenlet of one link, and what it waits for."""

    __slots__ = ("greenlet", "reader", "ready", "turn", "wake", "writer")

    def __init__(self, loop: Any, fd: int) -> None:
        self.greenlet: gevent.Greenlet[..., Any] | None = None
        self.wake = Event()
        self.reader = loop.io(fd, _READ)
        self.writer = loop.io(fd, _WRITE)
        self.ready = False
        self.turn = True

    def on_readable(self) -> None:
        """Be called by the hub."""
        # Readiness is level-triggered: it would be told again and again while a hook waits.
        self.reader.stop()
        self.ready = True
        self.wake.set()

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
        self.wake.set()


class GreenletManager(Registry):
    """Run WebSockets in greenlets of the hub in whose thread it is made."""

    is_shared = True

    def __init__(self) -> None:
        super().__init__()
        self._hub = gevent.get_hub()
        self._seats: dict[Link, _Seat] = {}
        self._timers: TimerHeap[Link] = TimerHeap()
        self._alarm: Any = self._hub.loop.timer(0)
        self._emptied = Event()  # type: ignore[assignment]

    # --- what links ask for: any greenlet, any thread ----------------------------------------

    def current(self) -> Hashable:
        """Return the calling greenlet."""
        return gevent.getcurrent()

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: all but the hub."""
        return gevent.getcurrent() is not self._hub

    def make_waiter(self) -> Any:
        """Return what a greenlet waits on."""
        return Event()

    def make_lock(self) -> Any:
        """Return a lock for greenlets."""
        return Semaphore()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a greenlet of its own."""
        self._in_hub(lambda: gevent.spawn(function))

    def again(self, link: Link) -> None:
        """Give a link a turn soon."""
        seat = self._seats.get(link)
        if seat is not None:
            seat.turn = True
            self._in_hub(seat.wake.set)

    def update(self, link: Link) -> None:
        """Watch for what a link wants now."""
        self._in_hub(self._update, link)

    def schedule(self, link: Link, when: float) -> None:
        """Come back to a link at a point in time."""
        if self._timers.set(link, when):
            self._in_hub(self._arm)

    def released(self, link: Link) -> None:
        """Forget a link whose transport is about to be closed."""
        self._timers.cancel(link)
        self._forget(link)
        seat = self._seats.pop(link, None)
        if seat is not None:
            seat.close()

    def _in_hub(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function that is the hub's to call: now in its own thread, soon from another."""
        if gevent.get_hub() is self._hub:
            function(*args)
        else:
            self._hub.loop.run_callback_threadsafe(function, *args)

    def _update(self, link: Link) -> None:
        seat = self._seats.get(link)
        if seat is None:
            return
        reading, writing = link.wants()
        if writing and not seat.writer.active:
            seat.writer.start(self._on_writable, link)
        elif not writing and seat.writer.active:
            seat.writer.stop()
        if reading:
            seat.wake.set()  # the greenlet starts its own watcher

    def _on_writable(self, link: Link) -> None:
        link.on_writable()

    def _arm(self) -> None:
        when = self._timers.next()
        self._alarm.stop()
        if when is not None:
            self._alarm.close()
            # Not exactly on time: an alarm that rings too early would ring again at once.
            self._alarm = self._hub.loop.timer(max(when - monotonic(), 0) + 0.001)
            self._alarm.start(self._ring)

    def _ring(self) -> None:
        now = monotonic()
        for link in self._timers.pop_due(now):
            link.on_deadline(now)
        self._arm()

    # --- WebSockets ------------------------------------------------------------------------------

    def add(self, websocket: WebSocket) -> None:
        """
        Manage a WebSocket that was made by hand: its ``opened()`` is called, then its socket is watched.

        One that is managed already is left alone.
        """
        if websocket in self:
            return
        websocket.opened()
        link = websocket._ensure_link()
        if link.released:
            return  # it was closed in opened()
        transport = link.transport
        if isinstance(transport, SourceTransport):
            transport = from_socket(transport.source)
        link.transport = transport
        link.fd = transport.fileno()
        with self.lock:
            self._links[link.fd] = link
            self._emptied.clear()
        self._sit(link)
        link.adopt(transport, self)

    def remove(self, websocket: WebSocket) -> None:
        """Stop managing a WebSocket, which goes on without; its ``closed()`` is not called."""
        link = websocket._link
        if link is not None:
            self.released(link)

    def stop(self) -> None:
        """
        Drop the connections that are still open.

        Close them first, with :meth:`close_all`, or use :meth:`shutdown`, which
        does that and waits. Again does nothing.
        """
        for link in list(self._links.values()):
            link.drop()
        self._alarm.stop()

    def _loop(self) -> GreenletManager:
        return self

    def _begin(self, link: Link, early: bytes) -> None:
        seat = self._sit(link)
        link.begin(early)
        seat.wake.set()

    def _sit(self, link: Link) -> _Seat:
        seat = self._seats[link] = _Seat(self._hub.loop, link.fd)
        seat.greenlet = gevent.spawn(self._serve, link, seat)
        return seat

    def _serve(self, link: Link, seat: _Seat) -> None:
        """Be the greenlet of one connection."""
        while self._seats.get(link) is seat:
            try:
                if seat.turn:
                    seat.turn = False
                    link.turn()
                    if seat.turn:
                        gevent.sleep(0)  # one turn each
                elif seat.ready:
                    seat.ready = False
                    link.on_readable()
                else:
                    if link.wants()[0] and not seat.reader.active:
                        seat.reader.start(seat.on_readable)
                    seat.wake.wait()
                    seat.wake.clear()
            except Exception as error:
                logger.error("a fault in the connection of %r", link.handler, exc_info=error)
                link.drop()

    def _swallow(self, sink: _socket.socket) -> None:
        watcher = self._hub.loop.io(sink.fileno(), _READ)

        def on_readable() -> None:
            try:
                if sink.recv(65536):
                    return
            except BlockingIOError:
                return
            except OSError as error:
                logger.debug("the server has reset its dummy: %s", error)
            watcher.stop()
            watcher.close()
            sink.close()

        watcher.start(on_readable)

    def _wait_empty(self, timeout: float) -> None:
        with contextlib.suppress(LoopExit):
            self._emptied.wait(timeout)
