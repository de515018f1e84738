"""
Managers that do nothing by themselves: each step of theirs is a test's.

The rounds, the turns, the books and the corks are those of every manager; what is replaced is the poller,
which asks connections in memory, and the thread, which is the test's own. Machines take the time from the
test's clock, whatever their driver says that it is.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.connection import Connection
from ..core.policy import Policy
from ..core.relay import Relay
from ..core.types import Side
from ..dispatching import Rounds
from ..leading import Leading
from ..link import Link
from ..pollers import HANGUP, READ, WRITE, Poller
from ..pools import DaemonPool
from ..tasks import TaskManager
from ..timers import TimerHeap
from ..websocket import WebSocket
from .clocks import Clock

if TYPE_CHECKING:
    from ..inbox import Waiter

__all__ = ["SteppedManager", "SteppedTaskManager", "Threads"]


def _timed(base: Any) -> Any:
    """Make a kind of machine that looks at a clock of its own, not at the driver's."""

    class Timed(base):  # type: ignore[misc, unused-ignore]
        def __init__(self, clock: Clock, *args: Any) -> None:
            self._clock = clock
            opened_at = monotonic()
            super().__init__(*args, now=clock())
            self.opened_at = opened_at  # how old it is, the figures say in real time

        def receive_data(self, data: Any, now: float, max_frames: int | None = None) -> None:
            super().receive_data(data, self._clock(), max_frames)

        def room_filled(self, size: int, now: float) -> None:
            super().room_filled(size, self._clock())

        def receive_eof(self, now: float) -> None:
            super().receive_eof(self._clock())

        def data_sent(self, size: int, now: float) -> None:
            super().data_sent(size, self._clock())

        def resume(self, now: float) -> None:
            super().resume(self._clock())

        def close(self, code: int | None, reason: str, now: float) -> None:
            super().close(code, reason, self._clock())

        def fail(self, code: int, reason: str, now: float, *, discard: bool = False) -> None:
            super().fail(code, reason, self._clock(), discard=discard)

    return Timed


_TimedConnection = _timed(Connection)
_TimedRelay = _timed(Relay)


class Threads:
    """
    The threads that handlers run in which are functions, and whether one of them is at work.

    One that waits for a message, or for room, does so for the test, and is not waited for. How long it waits
    goes by the clock.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._parked: dict[_Waiter, float] = {}  # those that wait for a time only → until when
        self._working: set[int] = set()  # their idents
        self._count = 0  # of those that are at work, or about to be

    @property
    def is_busy(self) -> bool:
        """Whether one is at work."""
        return self._count > 0

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a thread of its own."""
        self._add(1)
        threading.Thread(target=self._run, args=[function], name=name, daemon=True).start()

    def make_waiter(self) -> Waiter:
        """Return what one of them, or another thread, waits on."""
        return _Waiter(self)

    def next_deadline(self) -> float | None:
        """Return when the next one has waited for long enough."""
        with self._lock:
            return min(self._parked.values(), default=None)

    def take_deadlines(self) -> bool:
        """Wake those whose time is over; return whether there was one."""
        with self._lock:
            now = self.clock()
            late = [waiter for waiter, when in self._parked.items() if when <= now]
        for waiter in late:
            waiter.expire()
        return bool(late)

    def park(self, waiter: _Waiter, timeout: float | None) -> bool:
        """Note that one waits, by the clock; return ``False`` for another thread, which is not known here."""
        if get_ident() not in self._working:
            return False
        if timeout is not None:
            with self._lock:
                self._parked[waiter] = self.clock() + timeout
        self.clock.park(1)
        self._add(-1)
        return True

    def unpark(self, waiter: _Waiter) -> None:
        """Note that one waits no more: it is about to be at work."""
        with self._lock:
            self._parked.pop(waiter, None)
        self.clock.park(-1)
        self._add(1)

    def _run(self, function: Callable[[], None]) -> None:
        self._working.add(get_ident())
        try:
            function()
        finally:
            self._working.discard(get_ident())
            self._add(-1)

    def _add(self, number: int) -> None:
        with self._lock:
            self._count += number
        self.clock.ring()


class _Waiter:
    """An event that knows whether one of the threads waits for it."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._is_parked = False
        self._is_late = False

    def set(self) -> None:
        with self._lock:
            self._wake()

    def expire(self) -> None:
        """End the wait of one whose time is over; what was set in the meantime is in time."""
        with self._lock:
            self._is_late = not self._event.is_set()
            self._wake()

    def wait(self, timeout: float | None = None) -> bool:
        with self._lock:
            if not self._event.is_set():
                self._is_parked = self._threads.park(self, timeout)
            is_parked = self._is_parked
        if is_parked:
            self._event.wait()
            return not self._is_late
        return self._event.wait(timeout)

    def _wake(self) -> None:
        if self._is_parked:
            self._is_parked = False
            self._threads.unpark(self)  # before it has woken up
        self._event.set()


def _first(*times: float | None) -> float | None:
    return min((when for when in times if when is not None), default=None)


class _Timers(TimerHeap[Any]):
    """Points in time as they are, where those of a real manager are rounded up."""

    def __init__(self) -> None:
        super().__init__()
        self._times: dict[Any, float] = {}

    def __len__(self) -> int:
        return len(self._times)

    def set(self, owner: Any, when: float) -> bool:
        self._times[owner] = when
        return True

    def cancel(self, owner: Any) -> None:
        self._times.pop(owner, None)

    def next(self) -> float | None:
        return min(list(self._times.values()), default=None)

    def pop_due(self, now: float) -> list[Any]:
        due = sorted(
            (when, number, owner)
            for number, (owner, when) in enumerate(list(self._times.items()))
            if when <= now
        )
        for _, _, owner in due:
            self._times.pop(owner, None)
        return [owner for _, _, owner in due]


class _Poller(Poller):
    """Asks each transport in memory whether it is ready."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self._interest: dict[int, tuple[bool, bool]] = {}
        #: The links by their numbers.
        self.links: dict[int, Link] = {}

    def register(self, fd: int, read: bool = True, write: bool = False) -> None:
        self._interest[fd] = (read, write)

    def modify(self, fd: int, read: bool, write: bool) -> None:
        if fd in self._interest:
            self._interest[fd] = (read, write)

    def unregister(self, fd: int) -> None:
        self._interest.pop(fd, None)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Tell who is ready; it never waits."""
        ready = []
        for fd, (read, write) in list(self._interest.items()):
            link = self.links.get(fd)
            if link is None:
                continue
            transport: Any = link.transport
            events = READ if read and transport.is_readable else 0
            events |= WRITE if write and transport.is_writable else 0
            events |= HANGUP if transport.is_hung_up else 0
            if events:
                ready.append((fd, events))
        return ready

    def release(self) -> None:
        self._interest.clear()


class _Crew(Rounds):
    """What a round asks of the crew: there is one, the test's thread, and nobody to hand the loop on to."""

    def __init__(self) -> None:
        super().__init__(hands_on=True)
        self.idents = {get_ident()}

    def disown(self) -> None:
        """There are no threads to forget."""


class SteppedManager(Leading):
    """
    The manager of an application that is tested in memory.

    Args:
        clock: What the time is, and who lets it pass.
    """

    def __init__(self, clock: Clock) -> None:
        self._memory = _Poller()
        super().__init__(self._memory, max_threads=1, handon_after=None)
        self._memory.links = self._links
        self._clock = self._time = clock
        self._timers = _Timers()
        self._is_stepping = False
        self._crew: Any = _Crew()
        self._threads = Threads(clock)
        self.running = True

    # --- an actor ------------------------------------------------------------------------------

    def step(self) -> bool:
        """Make one round: those who are ready have a turn, and then those who have asked for one."""
        if self._is_stepping:
            return False  # a hook asks for the next step
        self._is_stepping = True
        try:
            return self._step()
        finally:
            self._is_stepping = False

    def _step(self) -> bool:
        self._ident = get_ident()
        self._crew.idents = {self._ident}
        due = self._timers.next()
        is_due = due is not None and due <= self._clock()
        if is_due:
            self._take_timers()
        ready = self._memory.wait(0)
        running: list[Link] = []
        if ready:
            self._dispatch(ready, self._crew, running)
        has_turns = bool(self._turns)
        if has_turns:
            self._take_turns(self._crew, running)
        is_late = self._threads.take_deadlines()
        return is_due or bool(ready) or has_turns or is_late

    def next_deadline(self) -> float | None:
        """Return when the next timer is due, or a handler has waited for long enough."""
        return _first(self._timers.next(), self._threads.next_deadline())

    def is_busy(self) -> bool:
        """Tell whether a handler that is a function is at work."""
        return self._threads.is_busy

    def fileno(self) -> int:
        """There is nothing that the system could tell of."""
        return -1

    # --- a manager -----------------------------------------------------------------------------

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: every thread but the test's."""
        return get_ident() not in self._crew.idents

    def make_waiter(self) -> Waiter:
        """Return what a thread waits on."""
        return self._threads.make_waiter()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a handler that is a function, in a thread of its own."""
        self._threads.spawn(function, name)

    def add(self, websocket: WebSocket) -> None:
        """Manage a WebSocket whose connection was taken over; one that is managed already is left alone."""
        self._add(websocket)

    def remove(self, websocket: WebSocket) -> None:
        """Stop managing a WebSocket, which goes on without; its ``closed()`` is not called."""
        link = websocket._link
        if link is not None and self._forget(link):
            self._timers.cancel(link)
            self._memory.unregister(link.fd)

    def stop(self) -> None:
        """Drop the connections that are still open."""
        self._drop_all(self._crew, [])
        self._end_run()

    def _make_connection(self, side: Side, policy: Policy, extensions: Sequence[Any]) -> Connection:
        made: Connection = _TimedConnection(self._clock, side, policy, extensions)
        return made

    def _loop(self) -> SteppedManager:
        return self

    def _swallow(self, sink: Any) -> None:
        sink.close()

    def _wait_empty(self, timeout: float) -> bool:
        if self._is_stepping:
            return False
        self._time.run(lambda: not self._links, max(timeout, 0.0))
        return True

    def _wake(self) -> None:
        if get_ident() != self._ident:
            self._time.ring()

    def _read_other(self, fd: int) -> bool:
        return False

    def _drop_others(self) -> None:
        return

    def _disown(self) -> None:
        super()._disown()
        self._timers = _Timers()
        self._memory.links = self._links
        self._crew = _Crew()


class _Pool(DaemonPool):
    """Threads that the clock does not wait for as long as they have nothing to do."""

    def __init__(self, clock: Clock, limit: int, name: str) -> None:
        super().__init__(limit, name)
        self._clock = clock

    def _next(self) -> Any:
        self._clock.park(1)
        try:
            return super()._next()
        finally:
            self._clock.park(-1)


class SteppedTaskManager(TaskManager):
    """
    The manager of an ASGI application that is tested in memory; its loop is stepped, and so is it.

    Args:
        clock: What the time is.
    """

    hears_signals = False

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._timers = _Timers()
        self.threads = Threads(clock)

    def next_deadline(self) -> float | None:
        """Return when the next timer is due, or a handler has waited for long enough."""
        return _first(self._timers.next(), self.threads.next_deadline())

    def take_timers(self) -> None:
        """See to the timers that are due, and to the handlers whose time is over; in the loop."""
        self._take_timers()
        self.threads.take_deadlines()

    def _arm(self) -> None:
        """Do nothing: the host looks at the timers in each step."""

    def _get_pool(self) -> DaemonPool:
        if self._pool is None:
            self._pool = _Pool(self.threads.clock, self.max_threads, "ws4py_middleware")
        return super()._get_pool()

    def make_relay(self, policy: Policy) -> Relay:
        """Make the machine of a connection."""
        made: Relay = _TimedRelay(self._clock, policy)
        return made

    def make_waiter(self) -> Waiter:
        """Return what a thread waits on."""
        return self.threads.make_waiter()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a handler that is a function, in a thread of its own."""
        self.threads.spawn(function, name)
