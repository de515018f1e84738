"""
The turns of links in an asyncio loop: who makes them, and in whose name.

Each link has a task, and so all its hooks are one task's, from ``opened()`` to ``closed()``. Where they may
be ``async def``, whoever brings something begins the turn in the name of the task, which makes the rest of it
if a hook waits for something. Where they may block, a turn is made in a thread of a bounded pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import sync_to_async

from .drain import GOING_AWAY
from .link import Link
from .native import get_ident, monotonic
from .pools import DaemonPool
from .registry import Registry
from .seats import Seat
from .steps import Taker, begin, go_on, iterate
from .tasklink import TaskLink, TaskTaker, ThreadLink

__all__ = ["STOP_TIMEOUT", "Turns"]

logger = logging.getLogger("ws4py_middleware")

#: How long a manager that is stopped, and a task that is cancelled, wait for hooks that still run; seconds.
STOP_TIMEOUT = 1.0


class Turns(Registry):
    """
    The half of a manager that gives its links their turns.

    Args:
        max_threads: How many hooks that may block run at once; the others wait.
    """

    def __init__(self, max_threads: int) -> None:
        super().__init__()
        self.max_threads = max_threads
        self._seats: dict[Link, Seat] = {}
        self._pool: DaemonPool | None = None
        self._turning: set[int] = set()  # the threads in which hooks run

    @abstractmethod
    def update(self, link: Link) -> None:
        """Watch for what a link wants now."""

    @abstractmethod
    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function that is the loop's thread's to call."""

    def readable(self, link: Link) -> bool:
        """
        Let a link read: at once, if its task waits for that, and its hooks may not block.

        Returns:
            Whether it has done all that there was to do.
        """
        seat = self._seats.get(link)
        if seat is None:
            return False
        if isinstance(link, TaskLink) and link.may_step(seat):
            return link.read_in(seat)
        seat.readable = True
        seat.wake.set()
        return False

    def get_taker(self, link: Link) -> Taker | None:
        """Return what lets a link take a message at once; ``None`` where its hooks may block."""
        seat = self._seats.get(link)
        return TaskTaker(link, seat) if seat is not None and isinstance(link, TaskLink) else None

    async def _serve(self, link: TaskLink | ThreadLink, seat: Seat) -> None:
        """Be the task of one connection."""
        if seat.task is None:
            await asyncio.sleep(0)  # the loop starts tasks eagerly; whoever brings the link is not done yet
        try:
            while not link.released and self._seats.get(link) is seat:
                if seat.rest is not None:
                    rest, seat.rest = seat.rest, None
                    await self._make_turn(link, seat, rest)
                    self.update(link)
                elif seat.turn or (seat.readable and not link.paused):
                    await self._take_turn(link, seat)
                    if seat.turn and not link.released:
                        await asyncio.sleep(0)  # one turn each
                else:
                    await self._park(seat)
        except asyncio.CancelledError as error:
            await self._end(link, seat, error)
            raise

    async def _park(self, seat: Seat) -> None:
        """Wait until there is something to do that is not done by others, in this task's name."""
        seat.wake.clear()
        seat.is_parked = True
        try:
            await seat.wake.wait()
        finally:
            seat.is_parked = False

    async def _end(self, link: TaskLink | ThreadLink, seat: Seat, error: BaseException) -> None:
        """End a connection whose task is cancelled: the loop is about to end, say."""
        rest, seat.rest = seat.rest, None
        if rest is not None:
            # Its hook has begun before, and waits for something.
            with contextlib.suppress(asyncio.CancelledError):
                await self._make_turn(link, seat, rest, error)
        link.go_away(*GOING_AWAY)
        if isinstance(link, TaskLink):
            await _run(link, seat, link.finish())  # no handler is left without its end
        else:
            await self._abandon(link, seat)

    def _unseat(self, link: TaskLink | ThreadLink, seat: Seat, task: asyncio.Task[None]) -> None:
        """Clear up behind a task; one that was cancelled at once has done nothing at all."""
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a fault in the connection of %r", link.handler, exc_info=error)
        if self._seats.pop(link, None) is seat:
            if seat.in_thread:
                link.release()  # closed() comes when its hook returns
            else:
                link.discard()

    async def _take_turn(self, link: TaskLink | ThreadLink, seat: Seat) -> None:
        readable = seat.readable and not link.paused
        if readable:
            seat.readable = False
        seat.turn = False
        if isinstance(link, TaskLink):
            await self._make_turn(link, seat, link.turn_async(readable))
        else:
            await self._in_pool(self._turn_in_thread, link, seat, readable)
        self.update(link)

    async def _make_turn(
        self, link: Any, seat: Seat, turn: Coroutine[Any, Any, None], error: BaseException | None = None
    ) -> None:
        """Make a turn of a :class:`TaskLink`, or the rest of one, which an error has interrupted."""
        try:
            await _run(link, seat, turn, error)
        except Exception as fault:  # noqa: BLE001 - as in writable()
            link.on_fault(fault)
            await _run(link, seat, link.finish())

    async def _in_pool(self, function: Callable[..., None], *args: Any) -> None:
        pool: Any = self._get_pool()  # asgiref says that it wants another kind
        await sync_to_async(function, thread_sensitive=False, executor=pool)(*args)

    def _get_pool(self) -> DaemonPool:
        if self._pool is None:
            self._pool = DaemonPool(self.max_threads, "ws4py_middleware")
        self._pool.limit = self.max_threads
        return self._pool

    def _turn_in_thread(self, link: ThreadLink, seat: Seat, readable: bool) -> None:
        if not seat.take():
            return
        ident = get_ident()
        self._turning.add(ident)
        try:
            if readable:
                link.on_readable()
            else:
                link.turn()
        except Exception as error:  # noqa: BLE001 - as in writable()
            link.on_fault(error)
        finally:
            if not seat.give_back():
                link.drop()
            self._turning.discard(ident)
            self.call(seat.wake.set)

    async def _abandon(self, link: ThreadLink, seat: Seat) -> None:
        """End a connection whose task is cancelled, and whose hook perhaps goes on in its thread."""
        if not seat.abandon():
            # Any thread may do it; there may be none for as long as others block.
            seat.in_thread = True
            context = contextvars.copy_context()
            self._get_pool().submit(context.run, self._drop_in_thread, link, seat)
        # Else the thread does it once the hook returns. Who waits for the loop's end waits for neither.
        deadline = monotonic() + STOP_TIMEOUT
        while not link.released and (left := deadline - monotonic()) > 0:
            seat.wake.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(seat.wake.wait(), min(left, 0.05))

    def _drop_in_thread(self, link: ThreadLink, seat: Seat) -> None:
        ident = get_ident()
        self._turning.add(ident)
        try:
            link.drop()
        finally:
            self._turning.discard(ident)
            self.call(seat.wake.set)


async def _run(
    link: Any, seat: Seat, coroutine: Coroutine[Any, Any, None], error: BaseException | None = None
) -> None:
    """Run what calls hooks of a :class:`TaskLink`; what they have sent leaves when they wait."""
    iterator = iterate(coroutine)
    waited = seat.name.context.run(begin, iterator)
    await go_on(iterator, waited, seat.name, link.uncork_now, error)
