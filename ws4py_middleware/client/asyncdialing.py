"""
The driver that awaits: it does the steps of an opening in an asyncio loop, within one deadline.

What fails raises what :mod:`.dialing` does, and leaves no descriptor and no task; so does to be
cancelled. Addresses are tried in turns of their families, a further one each quarter of a second as
long as none has answered, :rfc:`8305`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

from ..asynctransport import AsyncioTransport, StreamProtocol
from ..tasklink import TaskWaiter
from ..tasks import TaskManager
from .dialing import RETRY, Deadline, is_address, no_address, no_connection
from .steps import Conversation, Dial, DialUnix, Receive, Send, StartTLS, Step

__all__ = ["ClientProtocol", "drive_async"]

_T = TypeVar("_T")

#: What the look-up of a name returns for each address.
_Info = tuple[Any, Any, int, str, Any]

#: How long an address has for itself, until the next one is tried beside it; seconds.
_STAGGER = 0.25

#: Longer than anything takes: asyncio has a time-out of its own for TLS, and ours comes before.
_NEVER = 1e6


class ClientProtocol(StreamProtocol):
    """
    One connection: what arrives is asked for, until it belongs to a link.

    Args:
        manager: The manager of the loop.
    """

    stream: AsyncioTransport

    def __init__(self, manager: TaskManager) -> None:
        self._manager = manager
        self._waiter: TaskWaiter | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take asyncio's transport."""
        super().connection_made(transport)
        assert self.transport is not None
        self.stream = AsyncioTransport(self.transport, self._manager)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self.stream.feed(data)
        if self._waiter is not None:
            self._waiter.set()

    def eof_received(self) -> bool:
        """Note that the server has ended its side."""
        goes_on = super().eof_received()
        if self._waiter is not None:
            self._waiter.set()
        return goes_on

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        super().connection_lost(exc)
        if self._waiter is not None:
            self._waiter.set()

    def send(self, data: bytes) -> None:
        """Send; what the network does not take at once, asyncio keeps."""
        assert self.transport is not None
        if not self.transport.is_closing():
            self.transport.write(data)

    async def receive(self, timeout: float | None) -> bytes | None:
        """Return what has arrived, ``b""`` at the end; ``None`` when nothing did in time."""
        data = self.stream.recv()
        if data is None:
            self._waiter = TaskWaiter()
            try:
                await self._waiter.wait(timeout)
            finally:
                self._waiter = None
            data = self.stream.recv()
        return data

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Speak TLS from now on."""
        assert self.transport is not None
        if self.stream.pending():
            raise ssl.SSLError("the peer did not wait for the TLS handshake")
        lost = ConnectionResetError("the connection was lost in the TLS handshake")
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self.transport, self, context, server_hostname=name, ssl_handshake_timeout=_NEVER
            )
        except ConnectionError as error:
            raise (error if str(error) else lost) from None  # asyncio's own says nothing
        if transport is None:  # that, too, is how asyncio says it
            raise lost
        self.transport = transport
        self.stream.go_on_with(transport)


async def drive_async(
    conversation: Conversation, deadline: Deadline, manager: TaskManager
) -> tuple[ClientProtocol, bytes]:
    """
    Do what a conversation asks for.

    Args:
        deadline: When all of it has to be done.
        manager: The manager of the running loop.

    Returns:
        The connection, and what the conversation returned: the bytes that came behind the server's
        answer. What has arrived since is in the connection's stream.

    Raises:
        TimeoutError: A step was not done in time; the message says which.
        Exception: Whatever else the conversation raises; the connection is closed then.
    """
    line = _Line(deadline, manager)
    try:
        step = next(conversation)
        while True:
            try:
                result = await line.do(step)
            except BaseException as error:  # noqa: BLE001 - the conversation lets through what is not its own
                step = conversation.throw(error)
            else:
                step = conversation.send(result)
    except StopIteration as end:
        assert line.protocol is not None
        return line.protocol, end.value
    except BaseException:
        await line.hang_up()
        raise
    finally:
        conversation.close()


class _Line:
    """The one connection that a conversation has at a time."""

    def __init__(self, deadline: Deadline, manager: TaskManager) -> None:
        self.deadline = deadline
        self.manager = manager
        self.protocol: ClientProtocol | None = None

    async def do(self, step: Step) -> bytes | None:
        """Do a step, and return its result."""
        if isinstance(step, Dial):
            await self._dial(step)
        elif isinstance(step, DialUnix):
            await self._within(self._dial_unix(step), step.what)
        elif isinstance(step, StartTLS):
            assert self.protocol is not None
            await self._within(self.protocol.start_tls(step.context, step.name), step.what)
        elif isinstance(step, Send):
            assert self.protocol is not None
            self.protocol.send(step.data)
        elif isinstance(step, Receive):
            return await self._receive(step)
        else:
            await self.hang_up()
        return None

    async def hang_up(self) -> None:
        """Close the connection, if there is one."""
        protocol, self.protocol = self.protocol, None
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()
            await asyncio.sleep(0)  # asyncio closes the descriptor in its next round

    async def _dial(self, step: Dial) -> None:
        host, port = step.host, step.port
        addresses = await self._within(_look_up(host, port), f"the look-up of {host}")
        if not addresses:
            raise OSError(f"{host} has no address")
        await self._within(self._connect(_race(addresses, step.where)), step.what)

    async def _dial_unix(self, step: DialUnix) -> None:
        await self._connect(_connect_unix(step.path))

    async def _connect(self, connecting: Coroutine[Any, Any, socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        sock = await connecting
        protocol = self.protocol = ClientProtocol(self.manager)
        make: Callable[..., Any] = loop.create_connection
        if sock.family == getattr(socket, "AF_UNIX", None):
            make = loop.create_unix_connection
        try:
            await make(lambda: protocol, sock=sock)
        except BaseException:
            if protocol.transport is None:
                sock.close()
            raise

    async def _receive(self, step: Receive) -> bytes | None:
        assert self.protocol is not None
        left = self.deadline.left(step.what)
        if step.within is not None and (left is None or step.within < left):
            return await self.protocol.receive(step.within)
        data = await self.protocol.receive(left)
        if data is None:
            raise self.deadline.error(step.what)
        return data

    async def _within(self, work: Coroutine[Any, Any, _T], step: str) -> _T:
        """
        Let some work take the time that is left.

        Raises:
            TimeoutError: It took longer.
        """
        try:
            left = self.deadline.left(step)
        except TimeoutError:
            work.close()
            raise
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(_drop)  # who is cancelled does not ask for its error
        try:
            await asyncio.wait([task], timeout=left)
        finally:
            if not task.done():
                await _cancel([task])
        if task.cancelled():
            raise self.deadline.error(step)
        return task.result()


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """End tasks, whatever they are about to return or raise."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_drop)
    if tasks:
        await asyncio.wait(tasks)


def _drop(task: asyncio.Task[Any]) -> None:
    """Take what a task has ended with; a socket is closed."""
    if not task.cancelled() and task.exception() is None and isinstance(task.result(), socket.socket):
        task.result().close()


async def _look_up(host: str, port: int) -> list[_Info]:
    if is_address(host):
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise no_address(host, error) from None


def _take_turns(addresses: Sequence[_Info]) -> deque[_Info]:
    """Let the families take turns, :rfc:`8305#section-4`; which one is first is the system's choice."""
    families: dict[int, list[_Info]] = {}
    for info in addresses:
        families.setdefault(info[0], []).append(info)
    return deque(info for turn in zip_longest(*families.values()) for info in turn if info is not None)


async def _race(addresses: Sequence[_Info], where: str) -> socket.socket:
    """Connect to whichever address answers first; each has a head start over the next."""
    loop = asyncio.get_running_loop()
    waiting = _take_turns(addresses)
    running: dict[asyncio.Task[socket.socket], str] = {}
    errors: list[tuple[str, OSError]] = []
    try:
        while waiting or running:
            if waiting:
                info = waiting.popleft()
                running[loop.create_task(_connect_tcp(info))] = str(info[4][0])
            done, _ = await asyncio.wait(
                running, timeout=_STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                address = running.pop(task)
                try:
                    return task.result()
                except OSError as error:
                    errors.append((address, error))
    finally:
        await _cancel(list(running))
    raise no_connection(where, errors)


async def _connect_tcp(info: _Info) -> socket.socket:
    family, kind, proto, _, address = info
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_unix(path: str) -> socket.socket:
    # Not asyncio's sock_connect(), which takes a full backlog for a connection.
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(path)
                return sock
            except BlockingIOError:
                # The backlog is full, see connect_unix().
                await asyncio.sleep(RETRY)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise no_connection(repr(path), [("", error)]) from None
        raise
