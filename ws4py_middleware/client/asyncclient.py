"""
The client for asyncio.

::

    from ws4py_middleware.client.asyncclient import AsyncWebSocketClient

    async with AsyncWebSocketClient("wss://example.com/chat", protocols=["chat"]) as client:
        await client.send("hello")
        async for message in client:
            print(message)

Each connection has one task, of the manager that the loop has (:func:`.process.get_task_manager`); so there
may be thousands in a loop. Hooks are called, or awaited, in it, one after the other. uvloop will do, too.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from ..async_websocket import Queued
from ..async_websocket import WebSocket as AsyncWebSocket
from ..exc import find_leaving_code
from ..messaging import Message
from ..process import get_task_manager
from ..websocket import WebSocket
from .asyncdialing import ClientProtocol, drive_async
from .asyncreturning import TaskReconnecting
from .backoff import Backoff
from .base import ClientBase
from .dialing import Deadline

if TYPE_CHECKING:
    from ..link import Link
    from ..tasklink import TaskLink
    from ..tasks import TaskManager

__all__ = ["AsyncWebSocketClient"]

#: How long hooks may take beyond the closing handshake, until they are cancelled; seconds.
_PATIENCE = 1.0

_Client = TypeVar("_Client", bound="AsyncWebSocketClient")


class AsyncWebSocketClient(ClientBase, AsyncWebSocket):
    """
    A WebSocket that connects to a server, and lives in the asyncio loop in which it does.

    ``async with`` connects, and makes the closing handshake at its end, with 1011 when an exception ends it;
    a hook that still runs when the time for that is over is cancelled. Hooks may be ``async def``. A class
    without ``received_message()`` has its messages by ``await client.receive()`` and ``async for``: none is
    lost, and the server has to wait while nobody asks for more.

    The arguments, and what can be wrong with them, are those of :class:`.base.ClientBase`.
    """

    _reconnecting: TaskReconnecting | None

    async def connect(self) -> None:
        """
        Connect, and make the opening handshake; all of it within ``policy.open_timeout``.

        When it returns, :meth:`opened` has been called; one that is ``async`` has begun. When the last
        connection is being closed, its end is waited for. To cancel it leaves nothing behind.

        Raises:
            HandshakeError: The server refuses: ``status``, ``headers`` and ``body`` are its answer's.
                Or it is no server of WebSockets, or went away; then the ``status`` may be 0.
            OSError: There is no connection: the name is not known, nobody listens, the certificate is
                not the server's (:exc:`ssl.SSLCertVerificationError`), ...
            TimeoutError: It took too long, or a hook of the last connection never ends; it says what.
            RuntimeError: It is connected, or about to be.
        """
        with self._only_one():
            last = self._find_ending()
            if last is not None and await self._wait_ending(last):
                raise TimeoutError("a hook of the last connection has not returned, long after its end")
            link = await self._connect_once()
        try:
            await asyncio.sleep(0)  # the task of the connection comes first, with opened()
        except BaseException:
            link.terminate()
            raise

    async def _connect_once(self) -> Link:
        last = self._link
        self._forget_last()
        self._link = last  # until there is another: perhaps somebody waits in run()
        try:
            if self._reconnecting is not None:
                return await self._reconnecting.connect()
            return self._begin(*await self._open(Deadline(self.policy.open_timeout)))
        except BaseException:
            self._link = None
            raise

    async def _open(self, deadline: Deadline) -> tuple[ClientProtocol, bytes]:
        """Make one connection, and return what came behind the 101, too."""
        return await drive_async(self.converse(), deadline, get_task_manager())

    def _make_reconnecting(self, backoff: Backoff) -> TaskReconnecting:
        return TaskReconnecting(self, backoff)

    def _begin(self, protocol: ClientProtocol, early: bytes) -> Link:
        """Go on with a connection; its hooks are called as soon as the caller waits for something."""
        stream = protocol.stream
        try:
            get_task_manager().attach(self, stream, policy=self.policy, early=early)
        except BaseException:
            stream.abort()
            raise
        link = self._ensure_link()
        stream.bind(link)
        if type(self).received_message is WebSocket.received_message:
            # Whoever asks for messages gets them all, from the first one on.
            link.expect_receive()
        return link

    # --- the end ---------------------------------------------------------------------------------

    # What it returns may be awaited, too.
    def close(self, code: int | None = 1000, reason: str = "") -> Queued:  # type: ignore[override]
        """
        Begin the closing handshake; see :meth:`.WebSocket.close`. Without a connection, do nothing.

        Whoever waits afterwards, in :meth:`run` or :meth:`receive`, waits for ``policy.close_timeout``
        at most.
        """
        if self._reconnecting is not None:
            self._reconnecting.stop()
        return super().close(code, reason) if self._link is not None else Queued(self)

    # A coroutine here.
    async def receive(self, timeout: float | None = None) -> Message | None:  # type: ignore[override]
        """Wait for the next message; see :meth:`.AsyncWebSocket.receive`."""
        if self._reconnecting is None:
            return self._note_taken(await super().receive(timeout))
        return self._note_taken(await self._reconnecting.receive(super().receive, timeout))

    async def run(self) -> None:  # type: ignore[override]  # a coroutine here
        """
        Wait until the connection has ended; who reconnects in :meth:`closed` goes on.

        Raises:
            ConnectionClosed: There was none.
        """
        link = self._ensure_link()
        while True:
            self._check_not_mine(link)
            await cast("TaskManager", link.loop).wait_released(self)
            if self._reconnecting is not None:
                await self._reconnecting.wait_settled(link)
            if self._link is None or self._link is link:
                return
            link = self._link

    async def _leave(self, code: int = 1000) -> None:
        """Make the closing handshake, and leave no hook behind."""
        link = self._link
        if link is None:
            return
        self.close(code)
        if self._reconnecting is not None:
            await self._reconnecting.finish()
        if not link.is_mine and (task := await self._wait_ending(link)):
            task.cancel()  # a hook waits, perhaps for what nobody does any more
            await asyncio.wait([task], timeout=_PATIENCE)

    async def _wait_ending(self, link: Link) -> asyncio.Task[None] | None:
        """Wait for the end of a closing handshake; return the task whose hook is still at work then."""
        self._check_not_mine(link)
        task = cast("TaskManager", link.loop).task_of(self)
        if task is None:
            return None
        timeout = self.policy.close_timeout
        await asyncio.wait([task], timeout=None if timeout is None else timeout + _PATIENCE)
        return None if task.done() else task

    def _check_not_mine(self, link: Link) -> None:
        if link.is_mine:
            raise RuntimeError("the end of a connection cannot be waited for in one of its hooks")

    async def __aenter__(self: _Client) -> _Client:
        if not self.is_open:
            await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(find_leaving_code(error))

    def __enter__(self) -> NoReturn:
        raise TypeError("write 'async with': this client lives in an asyncio loop")

    def _task_link(self) -> TaskLink:
        return cast("TaskLink", self._ensure_link())
