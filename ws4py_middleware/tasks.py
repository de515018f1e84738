"""
The manager of an asyncio loop: the same contract, met with one task for each connection.

The task waits until there is something to do, and then has one turn. The hooks of an
:class:`~.async_websocket.WebSocket` are awaited in it. Those of any other handler may block, and so
its turns run in a bounded pool of threads, one at a time for a connection, which keeps their order.

Whoever brings a transport, in the loop's thread::

    manager = get_task_manager()
    manager.check_capacity(policy)
    manager.attach(websocket, transport, upgrade=upgrade, policy=policy, params=params)
    link = websocket._ensure_link()
    ...
    manager.readable(link)      # recv() has something, or the end
    manager.writable(link)      # send() takes something again
    ...
    await manager.wait_released(websocket)

A transport whose ``fileno()`` is a descriptor is watched here, and nobody has to tell of it; others have
numbers below -1, each its own (:func:`make_number`). Its methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from asyncio import current_task
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from .async_websocket import WebSocket as AsyncWebSocket
from .core.connection import Connection
from .core.policy import Policy
from .core.relay import Relay
from .drain import GOING_AWAY
from .handover import from_socket
from .link import Link
from .native import Lock, get_ident
from .outgoing import TransportLike
from .seats import Seat
from .tasklink import TaskLink, ThreadLink
from .turns import STOP_TIMEOUT, Turns
from .watched import WatchedTransport
from .websocket import WebSocket

if TYPE_CHECKING:
    import _socket

    from .inbox import Waiter

__all__ = ["TaskManager", "make_number"]

logger = logging.getLogger("ws4py_middleware")

#: -1 is everybody's who has no descriptor.
_numbers = itertools.count(-2, -1)


def make_number() -> int:
    """Return what stands for a descriptor where there is none; nobody else in this process has it."""
    return next(_numbers)


class TaskManager(Turns):
    """
    Run WebSockets in tasks of the running asyncio loop.

    Args:
        max_threads: How many handlers that are not ``async`` may run at once; the others wait.
    """

    is_shared = True
    is_threaded = False

    #: Whether its connections end with the process, and so by its signals; see :mod:`.shutdowns`.
    hears_signals = True

    def __init__(self, *, max_threads: int = 32) -> None:
        super().__init__(max_threads)
        self._aio = asyncio.get_running_loop()
        self._thread = get_ident()
        self._spawned: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        #: Call a function when the running task waits for something; in the loop's thread.
        self.call_soon = self._aio.call_soon

    @property
    def is_ready(self) -> bool:
        """Whether the loop is there."""
        return not self._aio.is_closed()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop in which its tasks run."""
        return self._aio

    # --- who brings transports: the loop's thread --------------------------------------------

    def writable(self, link: Link) -> None:
        """Let a link send on."""
        try:
            link.on_writable()
        except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
            link.on_fault(error)

    def hung_up(self, link: Link) -> None:
        """Let a link know that the connection is gone, also when it does not read now."""
        try:
            link.on_hangup()
        except Exception as error:  # noqa: BLE001 - as in writable()
            link.on_fault(error)

    async def wait_released(self, websocket: WebSocket) -> None:
        """
        Wait until a connection has ended, its handler was told, and its transport is closed.

        To cancel the wait does not end the connection.
        """
        task = self.task_of(websocket)
        if task is not None:
            await asyncio.wait([task])

    def task_of(self, websocket: WebSocket) -> asyncio.Task[None] | None:
        """
        Return the task that runs a WebSocket until its end; ``None`` when it has ended.

        To cancel it ends the connection with 1001, and ``closed()`` is called.
        """
        seat = None if websocket._link is None else self._seats.get(websocket._link)
        return None if seat is None else seat.task

    # --- what links ask for: any thread ----------------------------------------------------------

    def is_here(self) -> bool:
        """Tell whether the caller is in the loop's thread, and the loop will go on."""
        return get_ident() == self._thread and not self._aio.is_closed()

    def is_turning(self) -> bool:
        """Tell whether the caller is a thread of the pool, with the turn of a link."""
        return get_ident() in self._turning

    def current(self) -> int:
        """Return what stands for the calling task, or thread; never 0."""
        ident = get_ident()
        if ident == self._thread and (task := current_task(self._aio)) is not None:
            return id(task)
        return ident

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: not the loop, and not those few who call hooks."""
        ident = get_ident()
        return ident != self._thread and ident not in self._turning

    def make_waiter(self) -> Waiter:
        """Return what a thread waits on."""
        return threading.Event()

    def make_lock(self) -> Lock:
        """Return the lock of one link; nobody waits for anything while they have it."""
        return Lock()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a thread of its own."""
        threading.Thread(target=function, name=name, daemon=True).start()

    def spawn_task(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine in a task of its own; in the loop's thread."""
        task = self._aio.create_task(coroutine, name=name)
        self._spawned.add(task)  # the loop itself does not keep it
        task.add_done_callback(self._spawned.discard)

    def again(self, link: Link) -> None:
        """Give a link a turn soon."""
        seat = self._seats.get(link)
        if seat is not None:
            seat.turn = True
            self.call(seat.wake.set)

    def update(self, link: Link) -> None:
        """Watch for what a link wants now, if there is a descriptor to watch."""
        if isinstance(link.transport, WatchedTransport):
            self.call(link.transport.watch, link)

    def ignore(self, link: Link) -> None:
        """Do nothing: nobody watches for the end alone."""

    def schedule(self, link: Link, when: float) -> None:
        """Come back to a link at a point in time."""
        if self._timers.set(link, when):
            self.call(self._arm)

    def released(self, link: Link) -> None:
        """Forget a link whose transport is about to be closed."""
        self._timers.cancel(link)
        self._forget(link)
        self.again(link)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function that is the loop's thread's to call: now in it, soon from another."""
        if self.is_here():
            function(*args)
        else:
            with contextlib.suppress(RuntimeError):  # it is closed, and nobody waits for anything any more
                self._aio.call_soon_threadsafe(function, *args)

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        when = self._timers.next()
        if when is not None and not self._aio.is_closed():
            # Not exactly on time: an alarm that rings too early would ring again at once.
            self._alarm = self._aio.call_later(max(when - self._clock(), 0) + 0.001, self._ring)

    def _ring(self) -> None:
        self._take_timers()
        self._arm()

    # --- one connection --------------------------------------------------------------------------

    def make_relay(self, policy: Policy) -> Relay:
        """Make the machine of a connection whose frames are the server's."""
        return Relay(policy, now=self._clock())

    def _make_link(self, websocket: WebSocket, transport: TransportLike, conn: Connection) -> Link:
        if transport.fileno() >= 0:
            transport = WatchedTransport(transport, self)
        cls = TaskLink if isinstance(websocket, AsyncWebSocket) else ThreadLink
        return websocket._new_link(cls, transport, conn, self)

    def _loop(self) -> TaskManager:
        return self

    def _begin(self, link: Link) -> None:
        if not isinstance(link, TaskLink | ThreadLink):
            raise TypeError(f"{link.handler!r} has been run elsewhere; use attach() with its transport")
        self._enter(link)
        seat = self._seats[link] = Seat(self._aio)
        name = f"{type(link.handler).__name__} {link.fd}"
        task = seat.task = self._aio.create_task(self._serve(link, seat), name=name)
        task.add_done_callback(lambda task: self._unseat(link, seat, task))
        if isinstance(link, TaskLink):
            link.task_id = id(task)
        self.update(link)

    # --- all of them -------------------------------------------------------------------------------

    def add(self, websocket: WebSocket) -> None:
        """
        Manage a WebSocket that was made by hand, with a connected socket; in the loop's thread.

        One that is managed already is left alone.
        """
        if websocket not in self:
            self.attach(websocket, from_socket(websocket.sock))

    def remove(self, websocket: WebSocket) -> None:
        """Stop managing a WebSocket, which goes on without; its ``closed()`` is not called."""
        link = websocket._link
        seat = None if link is None else self._seats.pop(link, None)
        if link is not None and seat is not None:
            self._timers.cancel(link)
            self._forget(link)
            seat.turn = True  # nobody makes a turn in its task's name any more, nor when the one at hand ends
            self.call(seat.wake.set)
            if isinstance(link.transport, WatchedTransport):
                self.call(link.transport.unwatch)

    def shutdown(
        self,
        timeout: float | None = None,
        code: int = GOING_AWAY.code,
        reason: str = GOING_AWAY.reason,
    ) -> None:
        """
        Close all with 1001, from another thread than the loop's; see :meth:`shutdown_async`.

        Raises:
            RuntimeError: It was called in the loop, which would wait for itself.
        """
        if self.is_here() and self._aio.is_running():
            raise RuntimeError("in the loop itself, write: await manager.shutdown_async()")
        super().shutdown(timeout, code, reason)

    async def shutdown_async(
        self,
        timeout: float | None = None,
        code: int = GOING_AWAY.code,
        reason: str = GOING_AWAY.reason,
        *,
        grace: float | None = None,
    ) -> None:
        """
        Close all, wait for them, and drop those who do not answer; new ones are refused; see :meth:`drain`.

        Args:
            timeout: Most seconds in all; by default :attr:`shutdown_timeout`.
            code: 1001, or 1012 when there is a server to come back to.
            reason: Cut to 123 bytes.
            grace: The seconds for the answers; by default what the policies say.
        """
        limit = self.shutdown_timeout if timeout is None else timeout
        drain = self.begin_drain(code, reason, grace=grace, timeout=limit)
        while self._get_tasks() and (when := drain.step(self._clock())) is not None:
            await self._wait_tasks(max(0.0, when - self._clock()))
        self._timers.cancel(drain)
        self.stop()
        await self._wait_tasks(STOP_TIMEOUT)
        # What still waits in a hook is told so, and nobody waits any longer for what blocks in one.
        for task in self._get_tasks():
            task.cancel()
        await self._wait_tasks(2 * STOP_TIMEOUT)
        for link in list(self._links.values()):
            link.release()  # closed() comes when its hook returns

    async def _wait_tasks(self, timeout: float) -> None:
        if tasks := self._get_tasks():
            await asyncio.wait(tasks, timeout=timeout)

    def _get_tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks of all connections but the caller's own."""
        mine = asyncio.current_task()
        return [task for seat in self._seats.values() if (task := seat.task) is not None and task is not mine]

    def stop(self) -> None:
        """
        Drop the connections that are still open; in the loop's thread they end soon after.

        Close them first, with :meth:`close_all`, or use :meth:`shutdown_async`, which
        does that and waits. Again does nothing.
        """
        if not self._aio.is_running():
            self._stop_without_loop()
            return
        for link in list(self._links.values()):
            link.terminate()
        if not self.is_here():
            self._emptied.wait(STOP_TIMEOUT if self._links else 0)
            for link in list(self._links.values()):
                link.release()  # closed() comes when its hook returns
        if self._pool is not None and not self._seats:
            pool, self._pool = self._pool, None
            pool.shutdown()

    def _stop_without_loop(self) -> None:
        """Tell peers and handlers, as far as possible, when the loop has ended over their heads."""
        for link in list(self._links.values()):
            if isinstance(link, TaskLink | ThreadLink):
                link.go_away(*GOING_AWAY)
            if isinstance(link, ThreadLink):
                Link.drop(link)
            elif isinstance(link, TaskLink):
                try:
                    asyncio.get_running_loop()
                except RuntimeError:
                    asyncio.run(link.finish())
                else:
                    link.discard()  # nobody can await its hook here
        self._seats.clear()

    def _disown(self) -> None:
        super()._disown()
        self._seats = {}
        self._turning = set()
        self._spawned = set()
        self._alarm = self._pool = None

    def _swallow(self, sink: _socket.socket) -> None:
        def read() -> None:
            try:
                if sink.recv(65536):
                    return
            except BlockingIOError:
                return
            except OSError:
                pass  # the server has reset its dummy, which is as good as the end
            self._aio.remove_reader(number)
            sink.close()

        number = sink.fileno()
        self._aio.add_reader(number, read)

    def _wait_empty(self, timeout: float) -> bool:
        if self._aio.is_closed() or not self._aio.is_running() or self.is_here():
            return False
        self._emptied.wait(timeout)
        return True
