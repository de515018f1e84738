"""How clients in an asyncio loop come back: in a task, which is there while they are away."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from ..messaging import Message
from ..process import get_task_manager
from ..tasklink import TaskLink, TaskWaiter, _is_cancelled
from .away import Attempt, Call, Campaign, Reconnecting, Returning, Step, Wait
from .backoff import Backoff
from .dialing import Deadline

if TYPE_CHECKING:
    from ..link import Link
    from ..tasks import TaskManager
    from .asyncclient import AsyncWebSocketClient

__all__ = ["ReturningTaskLink", "TaskReconnecting"]

logger = logging.getLogger("ws4py_middleware")


class ReturningTaskLink(Returning, TaskLink):
    """One connection of a client that comes back, in a task."""

    reconnecting: TaskReconnecting

    async def _tell_opened_async(self) -> None:
        await super()._tell_opened_async()
        self.reconnecting.opened(self)

    def go_away(self, code: int, reason: str) -> None:
        """Tell the peer at once that the connection ends; it was cancelled, and no other one is wanted."""
        self.reconnecting.stop()
        super().go_away(code, reason)

    def discard(self) -> None:
        """Clear up; when nobody was told of the end, its task was cancelled, and no other one is wanted."""
        if not self.is_closed:
            self.reconnecting.stop()
        super().discard()

    @property
    def has_room(self) -> bool:
        """Whether nobody has to wait before sending more."""
        return self._takes_more() and self.reconnecting.has_room

    async def wait_for_room(self) -> None:
        """Wait until little waits for the peer, or for the next connection; or there is none."""
        await super().wait_for_room()
        if not self.is_mine:  # there is no room before this hook returns
            await self.reconnecting.wait_for_room()


class TaskReconnecting(Reconnecting):
    """For clients in an asyncio loop."""

    link_class: ClassVar[type[Returning]] = ReturningTaskLink

    client: AsyncWebSocketClient

    def __init__(self, client: AsyncWebSocketClient, backoff: Backoff) -> None:
        super().__init__(client, backoff)
        self._manager: TaskManager | None = None
        self._task: asyncio.Task[None] | None = None

    # --- those who wait: tasks ---------------------------------------------------------------------

    async def connect(self) -> Link:
        """
        Connect, as the application wants; go on if that fails, and is to be tried again.

        Raises:
            ConnectionClosed: It was closed while it was being connected.
            Exception: What :meth:`.AsyncWebSocketClient.connect` raises, and the last attempt did.
        """
        self.restart()
        self._manager = get_task_manager()
        client = self.client
        try:
            link = client._begin(*await client._open(Deadline(client.policy.open_timeout)))
        except Exception as error:
            if not self.persist(error):
                raise
        else:
            self.landed(link)
            return link
        try:
            await self.wait(lambda: self.link is not None or self.campaign is None)
        except BaseException:
            self.stop()
            raise
        if self.link is None:
            raise self.get_failure()
        return self.link

    async def receive(
        self, receive: Callable[[float | None], Awaitable[Message | None]], timeout: float | None
    ) -> Message | None:
        """
        Wait for the next message, on whichever connection it comes.

        Args:
            receive: Waits for the next message of the connection that there is.
            timeout: Seconds.

        Raises:
            TimeoutError: None came in time.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            link = self.client._ensure_link()
            try:
                message = await receive(_left(deadline))
            except TimeoutError:
                raise TimeoutError(f"no message within {timeout:g} s") from None
            if message is not None:
                return message
            if not await self.wait_settled(link, _left(deadline)):
                raise TimeoutError(f"no message within {timeout:g} s")
            if self.client._link is link:
                return None

    async def wait_settled(self, link: Link, timeout: float | None = None) -> bool:
        """Wait until it is known what comes after a connection; return whether it is."""
        return await self.wait(lambda: self.is_settled(link), timeout)

    async def wait(self, until: Callable[[], bool], timeout: float | None = None) -> bool:
        """
        Wait until something is so, or the time is over; return whether it is.

        Raises:
            RuntimeError: It was called from a hook, which would wait for itself.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while not until():
            if self._task is not None and self._task is asyncio.current_task():
                raise RuntimeError("a hook would wait for what comes after it")
            if _left(deadline) == 0:
                return False
            waiter = TaskWaiter()
            self._add_waiter(waiter)
            try:
                if not until():  # another thread may have made it so meanwhile
                    await waiter.wait(_left(deadline))
            finally:
                self._remove_waiter(waiter)
        return True

    async def wait_for_room(self) -> None:
        """Wait until little waits for the next connection, unless the caller is on the way to it."""
        if self._task is None or self._task is not asyncio.current_task():
            await self.wait(lambda: self.has_room)

    async def finish(self) -> None:
        """Wait until nothing is done about it any more."""
        task = self._task
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task])

    def _wait_for_room(self, link: Returning, size: int) -> bool:
        if not link.loop.may_wait():
            return False
        waiter = threading.Event()
        self._add_waiter(waiter)
        if self.is_full(size) and not self.is_hopeless:
            waiter.wait()
        self._remove_waiter(waiter)
        return True

    # --- the task of a campaign ----------------------------------------------------------------------

    def _begin(self, campaign: Campaign) -> None:
        if self._manager is not None:
            self._manager.call(self._spawn, campaign)

    def _spawn(self, campaign: Campaign) -> None:
        if self._manager is not None and self.campaign is campaign:
            name = f"{type(self.client).__name__} comes back"
            self._task = self._manager.loop.create_task(self._carry_out(campaign), name=name)

    def _call_off(self, campaign: Campaign) -> None:
        if self._manager is not None:
            self._manager.call(_cancel, self._task)

    async def _carry_out(self, campaign: Campaign) -> None:
        me = asyncio.current_task()
        try:
            while self.campaign is campaign and (step := campaign.step) is not None:
                if self._manager is not None and self._manager.is_ending:
                    self.stop()
                    return
                result = await self._do(campaign, step)
                if self.campaign is campaign:
                    campaign.advance(result)
        except asyncio.CancelledError:
            if self.campaign is campaign:
                self.stop()  # the loop is about to end, say
            raise
        finally:
            if self._task is me:  # also in a loop that was closed over it
                self._task = None

    async def _do(self, campaign: Campaign, step: Step) -> Exception | None:
        """Do a step, and return its result."""
        if isinstance(step, Wait):
            await asyncio.sleep(max(step.until - monotonic(), 0))
        elif isinstance(step, Call):
            try:
                outcome = step.function(*step.args)
                if inspect.isawaitable(outcome):
                    await outcome
            except BaseException as error:
                ends = isinstance(error, asyncio.CancelledError) and _is_cancelled()
                if ends or isinstance(error, KeyboardInterrupt):
                    raise
                logger.exception("%r raised an exception between two connections", self.client)
        elif isinstance(step, Attempt):
            return await self._dial(campaign)
        return None

    async def _dial(self, campaign: Campaign) -> Exception | None:
        client = self.client
        try:
            protocol, early = await client._open(Deadline(client.policy.open_timeout))
            if self.campaign is not campaign:
                protocol.stream.abort()
                return None
            link = client._begin(protocol, early)
        except Exception as error:  # noqa: BLE001 - it is the result
            return error
        self.landed(link)
        return None


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None and task is not asyncio.current_task():
        task.cancel()


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - monotonic(), 0)
