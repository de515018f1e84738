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

from .extras import needs

with needs("gevent", "gevent", __name__):
    import gevent
    from gevent.event import Event
    from gevent.exceptions import LoopExit
    from gevent.monkey import get_original

from .link import Link
from .native import Lock
from .registry import Registry
from .websocket import WebSocket

if TYPE_CHECKING:
    import _socket

    from .inbox import Waiter

__all__ = ["GreenletManager"]

logger = logging.getLogger("ws4py_middleware")

# Threads, not greenlets, also when ``threading`` is patched.
_get_thread: Callable[[], int] = get_original("_thread", "get_ident")
_make_thread_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")

#: How long :meth:`GreenletManager.stop` waits for hooks that are still running; seconds.
_STOP_TIMEOUT = 1.0

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
        """Be called by the hub's thread."""
        self.reader.close()
        self.writer.close()
        self.wake.set()


class _GreenletWaiter:
    """What a greenlet waits on; any thread may set it."""

    def __init__(self, manager: GreenletManager) -> None:
        self._manager = manager
        self._event = Event()

    def set(self) -> None:
        self._manager._in_hub(self._event.set)

    def wait(self, timeout: float | None = None) -> object:
        return self._event.wait(timeout)


class _ThreadWaiter:
    """What a thread beside the hub waits on: an event of gevent's would cost it a hub of its own."""

    def __init__(self) -> None:
        self._lock = _make_thread_lock()
        self._lock.acquire()

    def set(self) -> None:
        with contextlib.suppress(RuntimeError):  # it was set before
            self._lock.release()

    def wait(self, timeout: float | None = None) -> object:
        return self._lock.acquire(timeout=-1 if timeout is None else timeout)


class GreenletManager(Registry):
    """
    Run WebSockets in greenlets of the hub in whose thread it is made.

    Args:
        spawn: Starts the greenlet of a connection, such as a pool's; who kills one ends its connection.
    """

    is_shared = True
    is_threaded = False

    def __init__(self, spawn: Callable[..., Any] = gevent.spawn) -> None:
        super().__init__()
        self._spawn = spawn
        self._hub = gevent.get_hub()
        self._thread = _get_thread()
        self._seats: dict[Link, _Seat] = {}
        self._alarm: Any = self._hub.loop.timer(0)
        self._round: Any = self._hub.loop.async_(ref=False)
        self._next_round: list[Event] = []
        self._emptied = Event()  # type: ignore[assignment]  # does the same

    # --- what links ask for: any greenlet, any thread ----------------------------------------

    def current(self) -> Hashable:
        """Return the calling greenlet."""
        return gevent.getcurrent()

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: all but the hub."""
        return gevent.getcurrent() is not self._hub

    def make_waiter(self) -> Waiter:
        """Return what the calling greenlet, or thread, waits on."""
        return _GreenletWaiter(self) if _get_thread() == self._thread else _ThreadWaiter()

    def make_lock(self) -> Lock:
        """Return the lock of one link: no greenlet waits while it has it, so it is one for threads."""
        return Lock()

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

    def ignore(self, link: Link) -> None:
        """Do nothing: nobody watches for the end alone."""

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
            self._in_hub(seat.close)

    def _in_hub(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function that is the hub's thread's to call: now in it, soon from another."""
        if _get_thread() == self._thread:
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
        try:
            link.on_writable()
        except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
            link.on_fault(error)

    def _arm(self) -> None:
        when = self._timers.next()
        self._alarm.stop()
        if when is not None:
            self._alarm.close()
            # Not exactly on time: an alarm that rings too early would ring again at once.
            self._alarm = self._hub.loop.timer(max(when - monotonic(), 0) + 0.001)
            self._alarm.start(self._ring)

    def _ring(self) -> None:
        self._take_timers()
        self._arm()

    # --- WebSockets ------------------------------------------------------------------------------

    def add(self, websocket: WebSocket) -> None:
        """
        Manage a WebSocket that was made by hand: its ``opened()`` is called, then its socket is watched.

        One that is managed already is left alone.
        """
        self._add(websocket)

    def greenlet_of(self, websocket: WebSocket) -> gevent.Greenlet[..., Any] | None:
        """Return the greenlet that runs a WebSocket until its end; ``None`` when it has ended."""
        seat = None if websocket._link is None else self._seats.get(websocket._link)
        return None if seat is None else seat.greenlet

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
            link.terminate()
        # Each is told in its own greenlet, where a hook may be waiting for something.
        deadline = monotonic() + _STOP_TIMEOUT
        while monotonic() < deadline and any(not link.is_mine for link in list(self._links.values())):
            with contextlib.suppress(LoopExit):
                self._emptied.wait(0.01)
        for link in list(self._links.values()):
            link.release()  # closed() comes when its hook returns
        self._in_hub(self._alarm.stop)

    def _disown(self) -> None:
        super()._disown()
        seats, self._seats = self._seats, {}
        self._emptied = Event()  # type: ignore[assignment]  # does the same
        self._thread = _get_thread()
        loop: Any = self._hub.loop
        if loop is None:
            return  # its thread has ended, and took with it all that was watched
        self._alarm.stop()
        for seat in seats.values():
            seat.close()

    def _loop(self) -> GreenletManager:
        return self

    def _begin(self, link: Link) -> None:
        self._enter(link)
        self._sit(link).wake.set()

    def _sit(self, link: Link) -> _Seat:
        seat = self._seats[link] = _Seat(self._hub.loop, link.fd)
        seat.greenlet = self._spawn(self._serve, link, seat)
        return seat

    def _serve(self, link: Link, seat: _Seat) -> None:
        """Be the greenlet of one connection."""
        while self._seats.get(link) is seat:
            try:
                if seat.turn:
                    seat.turn = False
                    link.turn()
                    if seat.turn:
                        self._wait_for_round()  # one turn each
                elif seat.ready:
                    seat.ready = False
                    link.on_readable()
                else:
                    if link.wants()[0] and not seat.reader.active:
                        seat.reader.start(seat.on_readable)
                    seat.wake.wait()
                    seat.wake.clear()
            except Exception as error:  # noqa: BLE001 - as in _on_writable
                link.on_fault(error)
            except gevent.GreenletExit:
                link.drop()
                raise

    def _wait_for_round(self) -> None:
        """
        Let the hub look at all sockets once, and everybody else run.

        ``gevent.sleep(0)`` would not do: the hub runs fifty such callbacks before it
        looks at a socket again.
        """
        event = Event()
        self._next_round.append(event)
        if not self._round.active:
            self._round.start(self._begin_round)
        self._round.send()
        event.wait()

    def _begin_round(self) -> None:
        events, self._next_round = self._next_round, []
        for event in events:
            event.set()

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

    def _wait_empty(self, timeout: float) -> bool:
        if not self.may_wait():
            return False
        try:
            self._emptied.wait(timeout)
        except LoopExit:
            return False
        return True
