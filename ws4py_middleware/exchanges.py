"""
Exchanges: an ASGI server's ``receive`` and ``send`` as the transport of a link.

What goes through are the events and items of :class:`~.core.relay.Relay`, not bytes. One task
awaits ``receive``, and stops while enough waits to be taken; another awaits ``send``. What the
server has not taken yet counts as not sent, so that a ``send`` that is stuck is a peer that
does not read, with all that follows from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .core.events import CloseReceived, Event, MessageReceived
from .core.frames import pack_close, unpack_close
from .core.relay import Item, SendMessage
from .core.types import CloseCode

__all__ = ["Exchange", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger("ws4py_middleware")

#: From so many bytes, or messages, on that nobody has taken yet, nothing more is asked for.
_READ_AHEAD_SIZE = 64 * 1024
_READ_AHEAD_MESSAGES = 16

#: How long the server may take to tell how a connection ended on which it takes nothing more; seconds.
_LAST_WORD = 1.0


class Exchange:
    """
    The transport of one WebSocket inside an ASGI server.

    It is made, started and ended in the thread of the loop; the methods that a link
    calls may be called from any thread.

    Args:
        scope: The connection's.
        number: What stands for its descriptor.
        receive: The server's; ``websocket.connect`` has been taken.
        send: The server's; the connection is accepted, or :meth:`accept` is called first.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, number: int) -> None:
        self.local_address = _address(scope.get("server"))
        self.peer_address = _address(scope.get("client"))
        self._receive = receive
        self._send = send
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._readable: Callable[[], object] = _nothing
        self._writable: Callable[[], object] = _nothing
        # What has arrived and was not taken yet.
        self._arrived: deque[Event] = deque()
        self._arrived_size = 0
        self._room = asyncio.Event()
        self._ended = False  # the last event has arrived
        # What the server is taking, and whether it has.
        self._batch: tuple[Item, ...] | None = None
        self._taken = False
        self._cut = False  # it takes nothing any more
        self._closing = False  # it was told to close the connection
        self._stopped = False  # nobody is interested any more
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    # --- in the loop's thread ------------------------------------------------------------

    def start(self, readable: Callable[[], object], writable: Callable[[], object]) -> None:
        """
        Begin to receive and to send.

        Args:
            readable: Called when something has arrived.
            writable: Called when the server has taken what it was given.
        """
        self._readable, self._writable = readable, writable
        self._writer = self._loop.create_task(self._write())
        self._listen()

    async def accept(self, subprotocol: str | None) -> None:
        """Let the server accept the connection, before :meth:`start`; what it raises is not caught."""
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def turn_away(self, code: int, reason: str) -> None:
        """Let the server accept the connection, and close it, in place of :meth:`start`."""
        await self.accept(None)
        await self._say_close(*unpack_close(pack_close(code, reason)))  # which cuts the reason

    async def drain(self, is_done: Callable[[], bool]) -> None:
        """Wait until it is done, whatever that is, or the server takes nothing more."""
        while not (self._cut or is_done()):
            self._progress.clear()
            await self._progress.wait()

    def end(self, code: int = CloseCode.ABNORMAL_CLOSURE, reason: str = "") -> None:
        """Let the link know that the connection has ended; again does nothing."""
        if not self._ended:
            self._ended = True
            self._arrive(CloseReceived(code, reason), 0)
            self._stop_sending()

    async def stop(self) -> None:
        """End both tasks, wait for that, and let the server close what nobody has closed."""
        is_lost = not (self._closing or self._cut)
        self._cancel()
        tasks = [task for task in (self._reader, self._writer) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if is_lost:
            # Some servers leave a connection open that was not closed; and one whose send() was stuck
            # is not stuck for ever.
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._say_close(CloseCode.GOING_AWAY, ""), _LAST_WORD)

    def _listen(self) -> None:
        if not (self._ended or self._stopped):
            self._reader = self._loop.create_task(self._read())
            self._reader.add_done_callback(self._on_heard)

    def _on_heard(self, reader: asyncio.Task[None]) -> None:
        # Not in the task: one that is cancelled before it has begun does nothing at all.
        if not (self._stopped or (self._closing and reader.cancelled())):
            self.end()

    async def _read(self) -> None:
        try:
            while not self._ended:
                while self._arrived_size >= _READ_AHEAD_SIZE or len(self._arrived) >= _READ_AHEAD_MESSAGES:
                    self._room.clear()
                    await self._room.wait()
                self._take_in(await self._receive())
        except Exception:
            logger.debug("the server's receive() has failed", exc_info=True)

    def _take_in(self, message: MutableMapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.receive":
            text = message.get("text")
            data = bytes(message.get("bytes") or b"") if text is None else text.encode()
            self._arrive(MessageReceived(data, text is not None), len(data))
        elif kind == "websocket.disconnect":
            code = message.get("code")
            self.end(CloseCode.NO_STATUS_RECEIVED if code is None else int(code), message.get("reason") or "")

    def _arrive(self, event: Event, size: int) -> None:
        with self._lock:
            self._arrived.append(event)
            self._arrived_size += size
        self._readable()

    async def _write(self) -> None:
        try:
            while not self._cut:
                await self._wake.wait()
                self._wake.clear()
                batch = self._batch
                if batch is None or self._taken:
                    continue
                for item in batch:
                    await self._say(item)
                self._taken = True
                self._progress.set()
                self._writable()
        except Exception:
            # Each server has its own exception for a client that has left; it says how in receive().
            logger.debug("the server's send() has failed", exc_info=True)
            self._loop.call_later(_LAST_WORD, self.end)
            self._stop_sending()
        except asyncio.CancelledError:
            if not self._stopped:
                self._stop_sending()
            raise

    async def _say(self, item: Item) -> None:
        if isinstance(item, SendMessage):
            kind = "websocket.send"
            if item.is_text:
                await self._send({"type": kind, "text": item.text})
            else:
                await self._send({"type": kind, "bytes": item.data})
        else:
            self._closing = True
            # Granian closes when nobody receives, and others do not mind.
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.wait([self._reader])
            try:
                await self._say_close(item.code, item.reason)
            finally:
                self._listen()

    async def _say_close(self, code: int, reason: str) -> None:
        message = {"type": "websocket.close", "code": code, "reason": reason}
        try:
            await self._send(message)
        except OSError:
            raise
        except Exception:
            if code == CloseCode.NORMAL_CLOSURE or code >= 3000:
                raise
            # Daphne's library lets applications send no other codes. A code for private use tells
            # the client more than none, and than that all is well.
            await self._send({**message, "code": code + 3000})

    def _stop_sending(self) -> None:
        if not self._cut:
            self._cut = True
            self._wake.set()
            self._progress.set()
            self._writable()

    def _cancel(self) -> None:
        self._stopped = True
        self._readable = self._writable = _nothing
        for task in (self._reader, self._writer):
            if task is not None:
                task.cancel()

    # --- a link's transport: any thread ------------------------------------------------------

    def fileno(self) -> int:
        """Return what stands for a descriptor."""
        return self._number

    def recv(self, size: int = 0, /) -> Any:
        """Return the events that have arrived; ``None`` when there are none."""
        with self._lock:
            events = tuple(self._arrived)
            self._arrived.clear()
            self._arrived_size = 0
        if events:
            self._call(self._room.set)
        return events or None

    def send(self, data: Any, /) -> int:
        """
        Give the server items, and return how many of those that it was given before it has taken.

        It is called with the same until it returns their number. When the server takes nothing
        more, everything counts as taken, as by the network.
        """
        with self._lock:
            if not self._cut and not self._taken:
                if self._batch is not None:
                    return 0
                self._batch = tuple(data)
            else:
                self._batch, self._taken = None, False
                return len(data)
        self._call(self._wake.set)
        return 0

    def pending(self) -> int:
        """Return how many events have arrived."""
        return len(self._arrived)

    def interest(self, reading: bool, writing: bool, /) -> tuple[bool, bool]:
        """Return what is waited for: just what was asked."""
        return reading, writing

    def shutdown_write(self) -> None:
        """Do nothing: the FIN is the server's."""

    def close(self) -> None:
        """Receive and send no more; the server ends the connection when the application returns."""
        self._call(self._cancel)

    abort = close

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop.is_closed():
            return  # the process is about to end
        if threading.get_ident() == self._thread:
            function()
        else:
            self._loop.call_soon_threadsafe(function)


def _address(value: Any) -> Any:
    """Return (host, port), which servers give as lists, or with the port as text; or a Unix socket's path."""
    if not value:
        return ""
    host, port = value
    return host if port is None else (host, int(port))


def _nothing() -> None: ...
