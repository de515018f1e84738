"""
The links of an asyncio loop: one kind for hooks that are awaited, one for hooks that run in threads.

All else is :class:`~.link.Link`'s. What is sent in the loop's thread is corked, as in a hook anywhere:
it leaves in one piece when the hook returns, or whoever sends waits for something.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import CoroutineType
from typing import Any, Protocol, cast

from .core.events import Event, HookDue, MessageReceived, PongReceived
from .core.machine import Machine
from .lifetimes import reauthorize_async
from .link import Handler, Link
from .messaging import Message, PongControlMessage, make_binary, make_text
from .native import get_ident, monotonic
from .outgoing import Loop, TransportLike
from .seats import Seat
from .steps import DONE, Taker, begin, go_on, iterate

__all__ = ["AsyncLoop", "TaskLink", "TaskTaker", "ThreadLink"]


class AsyncLoop(Loop, Protocol):
    """What these links ask of their loop, beside what all do."""

    #: Whether the caller is in the loop's thread, and whether in one in which hooks run.
    def is_here(self) -> bool: ...
    def is_turning(self) -> bool: ...

    #: In the loop's thread: call a function when the running task waits; run a coroutine beside.
    def call_soon(self, function: Callable[..., object], /, *args: Any) -> object: ...
    def spawn_task(self, coroutine: Coroutine[Any, Any, None], name: str) -> None: ...


class _LoopsLink(Link):
    """What both kinds have in common."""

    __slots__ = ()

    loop: AsyncLoop

    def go_away(self, code: int, reason: str) -> None:
        """Tell the peer at once that the connection ends, and wait for nothing."""
        with self._lock:
            self.conn.fail(code, reason, monotonic())
            self._flush()

    def discard(self) -> None:
        """End the connection where the handler cannot be told, or was told before."""
        with self._lock:
            self.conn.lose("Going away")
        self._last_callbacks(tell=False)
        self.release()


class ThreadLink(_LoopsLink):
    """One connection whose turns run in threads, so that its hooks may block."""

    __slots__ = ()

    def drop(self) -> None:
        """End the connection at once; the handler is told where its hooks run."""
        if self._told_opened and not self.loop.is_turning():
            self.terminate()
        else:
            super().drop()


class TaskWaiter:
    """What a task waits on; any thread may set it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._future: asyncio.Future[bool] = self._loop.create_future()

    def set(self) -> None:
        """Wake the task."""
        if get_ident() == self._thread:
            self._wake()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self, in_time: bool = True) -> None:
        if not self._future.done():
            self._future.set_result(in_time)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or the time is over by the loop's clock; return whether it was set."""
        alarm = None if timeout is None else self._loop.call_later(timeout, self._wake, False)
        try:
            return await self._future
        finally:
            if alarm is not None:
                alarm.cancel()


class TaskLink(_LoopsLink):
    """One connection whose hooks may be ``async def``: :meth:`turn_async` takes the place of ``turn``."""

    __slots__ = ("_corks", "_stepping", "_uncorking", "task_id")

    def __init__(self, handler: Handler, transport: TransportLike, conn: Machine, loop: Loop) -> None:
        super().__init__(handler, transport, conn, loop)
        self._uncorking = False
        #: Whether it is worth while to hold back what is sent outside of hooks; not where messages go whole.
        self._corks = getattr(transport, "takes_bytes", True)
        #: What :meth:`.Loop.current` returns in its task; 0 before there is one.
        self.task_id = 0
        self._stepping = 0  # the thread in which callbacks are made, none of which has waited for anything

    # --- the task of the connection ---------------------------------------------------------

    async def turn_async(self, readable: bool = False) -> None:
        """Make the callbacks that are due, within the bounds of one turn."""
        if self.released:
            return
        if readable and self.blocked and self.transport.interest(False, True)[0]:
            self.on_writable()  # TLS had to read before it could write
        conn = self.conn
        if not self._told_opened:
            await self._tell_opened_async()
        if conn.deadlines.lifetime_over:
            await reauthorize_async(self)
        if not self.paused:
            now = self._take_in(readable)
            begun = self._dispatch_now(now)
            if begun is not None:
                await self._dispatch_on(begun, now)
        await self._end_turn()

    async def _turn_on(self, begun: tuple[Any, Any], began: float) -> None:
        """Make the rest of a turn, from a callback on that waits for something."""
        await self._dispatch_on(begun, began)
        await self._end_turn()

    async def _dispatch_on(self, begun: tuple[Any, Any] | None, began: float) -> None:
        while begun is not None:
            goes_on = False
            try:
                await go_on(*begun)
                goes_on = self._may_go_on(began)
            except BaseException as error:  # noqa: BLE001 - see _hook_failed
                self._hook_failed(error)
            finally:
                if not goes_on:
                    self._uncork()
            begun = self._dispatch_now(began) if goes_on else None

    async def _end_turn(self) -> None:
        if self.conn.is_closed():
            await self._conclude_async()
        else:
            self._go_on()

    async def finish(self) -> None:
        """End the connection at once, in its task: the handler is told, the transport closed."""
        try:
            with self._lock:
                self.conn.lose("Going away")
            if self._told_opened:
                await self._conclude_async()
        finally:
            super().drop()

    def drop(self) -> None:
        """End the connection at once; the handler is told in its task."""
        if self._told_opened:
            self.terminate()
        else:
            super().drop()

    def terminate(self) -> None:
        """End the connection without waiting for anything; the handler is told in its task."""
        with self._lock:
            if self._uncorking or self.is_mine:
                self._flush()  # what was sent before goes out before
        super().terminate()

    # --- what is done at once, in the name of the task -----------------------------------------

    def may_step(self, seat: Seat) -> bool:
        """Tell whether the task waits, and there is no more to do than to take what has arrived."""
        if not seat.is_parked or self.paused or not self._told_opened:
            return False
        return not (self.conn.deadlines.lifetime_over or self.conn.is_closed())

    def stepped(self, seat: Seat, rest: Coroutine[Any, Any, None] | None) -> None:
        """Note a turn that was made in the name of the task, which makes the rest, if there is one."""
        if rest is not None or seat.turn or seat.readable or self.released:
            seat.rest = rest
            seat.wake.set()
        else:
            seat.is_parked = True

    def read_in(self, seat: Seat) -> bool:
        """Read at once, where :meth:`may_step` says so; return whether all is done that there was to do."""
        seat.is_parked = False
        try:
            rest = seat.name.call(self.read_now)
        except BaseException as error:  # noqa: BLE001 - it is the task's
            rest = _raise(error)
        self.stepped(seat, rest)
        return seat.is_parked

    def take_now(self, message: MessageReceived, now: float) -> Coroutine[Any, Any, None] | None:
        """
        Make the callback that a message is for, as a turn does.

        Returns:
            The rest of the turn, when the callback waits for something.
        """
        lock = self._lock
        lock.acquire()
        try:
            # Its transport brings events, not bytes.
            event = self.conn.pass_message(message, now)
        finally:
            lock.release()
        return self._turn_now(now, event)

    def read_now(self) -> Coroutine[Any, Any, None] | None:
        """Read, and make the callbacks that are due, as :meth:`take_now`."""
        if self.blocked and self.transport.interest(False, True)[0]:
            self.on_writable()  # TLS had to read before it could write
        return self._turn_now(self._take_in(True))

    def _turn_now(self, now: float, event: Event | None = None) -> Coroutine[Any, Any, None] | None:
        begun = self._dispatch_now(now, event)
        if begun is not None:
            return self._turn_on(begun, now)
        if self.conn.is_closed():
            self._again()  # its end is told in its task
        elif event is None or self.conn.has_work():  # where one event is brought, no other waits
            self._go_on()
        return None

    def _dispatch_now(self, began: float, event: Event | None = None) -> tuple[Any, Any] | None:
        """
        Make the callbacks that are due, for an event that was taken before all others.

        Returns:
            The callback that waits, as :func:`go_on` takes it.
        """
        conn = self.conn
        lock = self._lock
        begun = None
        self._busy = self.task_id or self._current()
        self._stepping = get_ident()
        try:
            while True:
                if event is None:
                    lock.acquire()
                    try:
                        event = conn.next_event()
                    finally:
                        lock.release()
                    if event is None:
                        break
                result = self._tell(event)
                event = None
                if result is not None and (type(result) is CoroutineType or inspect.isawaitable(result)):
                    iterator = iterate(result)
                    waited = begin(iterator)
                    if waited is not DONE:
                        begun = iterator, waited
                        break
                if not (self._may_go_on(began) and conn.has_work()):
                    break
        except BaseException as error:  # noqa: BLE001 - see _hook_failed
            self._hook_failed(error)
        finally:
            self._stepping = 0
            if begun is None:
                self._uncork()
        return begun

    def _may_go_on(self, began: float) -> bool:
        """Tell, between two callbacks, whether the peer takes what it is sent, and the turn is not over."""
        conn = self.conn
        if conn.get_queued() > self._limits.write_high_water or self._inbox is not None or self._fragmenter:
            with self._lock:
                self._flush()
                if self._must_pause():
                    self._pause()
                    return False
        return not conn.has_work() or monotonic() - began <= self._limits.turn_time

    def _tell(self, event: Event) -> object:
        """Call the hook that an event is for; return what it returns."""
        handler: Any = self.handler  # its hooks may return something
        if isinstance(event, MessageReceived):
            message = event
            return handler.received_message(
                make_text(message.data) if message.is_text else make_binary(message.data)
            )
        if isinstance(event, PongReceived) and event.latency is None:
            return handler.ponged(PongControlMessage(event.data))
        return event.tell(handler) if isinstance(event, HookDue) else None

    async def _tell_opened_async(self) -> None:
        self._told_opened = True
        await self._callback_async(self.handler.opened)

    async def _callback_async(self, function: Callable[..., object], *args: Any) -> None:
        """Run one callback, and wait for it if it is one to wait for."""
        self._busy = self._current()
        try:
            await _finished(function(*args))
        except BaseException as error:  # noqa: BLE001 - see _hook_failed
            self._hook_failed(error)
        finally:
            self._uncork()
            with self._lock:
                self._settle()

    def _hook_failed(self, error: BaseException) -> None:
        """End the connection because of its handler; let through what wants to end its task, or the loop."""
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            raise error
        self._handler_failed(error)
        if isinstance(error, KeyboardInterrupt):
            raise error

    async def _conclude_async(self) -> None:
        cancelled: BaseException | None = None
        for function, args in self._last_callbacks(tell=True):
            try:
                await self._callback_async(function, *args)
            except asyncio.CancelledError as error:
                cancelled = error  # but who was told of an error is told of the end, too
        if self.conn.finished:
            self.release()
        if cancelled is not None:
            raise cancelled

    # --- corks ---------------------------------------------------------------------------------

    def _flush_unless_corked(self) -> None:
        loop = self.loop
        if self._stepping and self._stepping == get_ident():
            return  # it leaves when the hook returns, or waits for something: uncork_now()
        if self._busy and self._busy == self._current():
            return
        if not self._corks or not loop.is_here():
            self._flush()
        elif not self._uncorking:
            # Once the sender waits for something, what it has sent must not wait with it.
            self._uncorking = True
            loop.call_soon(self._uncork_soon)

    def uncork_now(self) -> None:
        """Let leave what is held back, when a hook waits for something."""
        if self.conn.get_queued() and not self.released:
            self._uncork_soon()

    def _uncork_soon(self) -> None:
        self._uncorking = False
        if not self.released:
            try:
                with self._lock:
                    self._flush()
                    self._settle()
            except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
                self.on_fault(error)

    def _uncork(self) -> None:
        self._busy = 0
        lock = self._lock
        lock.acquire()
        try:
            self._flush()
            if not self.conn.is_open():
                self._settle()
        finally:
            lock.release()

    # --- waiting, in tasks ---------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether nobody has to wait before sending more."""
        return self._takes_more()

    def _takes_more(self) -> bool:
        conn = self.conn
        if conn.get_queued() <= self._limits.write_high_water:
            return True
        return not conn.is_open() or conn.policy.queue_policy != "block"

    async def wait_for_room(self) -> None:
        """Wait until no more than ``write_high_water`` bytes wait for the peer, or it is gone."""
        while True:
            with self._lock:
                if not self._takes_more():
                    self._flush()
                if self._takes_more():
                    return
                waiter = TaskWaiter()
                self._wake_later(waiter)
            await waiter.wait()

    async def receive_async(self, timeout: float | None) -> Message | None:
        """Wait for the next message, as :meth:`receive` does, in a task."""
        if self.is_mine:
            raise RuntimeError(
                "receive() waits for the task that runs this hook; "
                "use received_message(), or a function as the handler"
            )
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            message, waiter = self._take_message(TaskWaiter)
            if waiter is None:
                return message
            try:
                in_time = await waiter.wait(None if deadline is None else max(deadline - monotonic(), 0))
            finally:
                inbox = self._forget_waiter(waiter)
            if deadline is not None and not (in_time or inbox or inbox.ended):
                raise TimeoutError(f"no message within {timeout:g} s")


class TaskTaker(Taker):
    """What lets a link take a message at once, if its task waits for one; else ``recv()`` brings it."""

    __slots__ = ("_link", "_seat")

    def __init__(self, link: TaskLink, seat: Seat) -> None:
        self._link = link
        self._seat = seat

    def take(self, message: MessageReceived, now: float) -> bool:
        """Make the turn of a message; return whether that was possible."""
        link, seat = self._link, self._seat
        if seat.turn or seat.readable or not link.may_step(seat):
            return False
        seat.is_parked = False
        try:
            rest = seat.name.step(self, message, now)
        except BaseException as error:  # noqa: BLE001 - it is the task's
            rest = _raise(error)
        link.stepped(seat, rest)
        return True

    def step(self, message: MessageReceived, now: float) -> Any:
        """Make it, in the name of the task."""
        return self._link.take_now(message, now)


class _Done:
    """What a hook that is not ``async`` has returned."""

    def __await__(self) -> Iterator[None]:
        return iter(())


_DONE = _Done()


def _finished(result: object) -> Awaitable[object]:
    """Return what to wait for after a hook has returned; often there is nothing."""
    if result is not None and inspect.isawaitable(result):
        return cast("Awaitable[object]", result)
    return cast("Awaitable[object]", _DONE)


async def _raise(error: BaseException) -> None:
    raise error


def _is_cancelled() -> bool:
    """Tell whether the running task is cancelled; else a hook has waited for another that was."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return cancelling is None or cancelling() > 0  # Python 3.10 cannot tell
