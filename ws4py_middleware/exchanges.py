"""
Exchanges: an ASGI server's ``receive`` and ``send`` as the transport of a link.

What goes through are the events and items of :class:`~.core.relay.Relay`, not bytes. One task
awaits ``receive``, and stops while enough waits to be taken. Another awaits ``send``; but what is sent in
the thread of the loop begins at once, in its name, and mostly that is all. What the
server has not taken yet counts as not sent, so that a ``send`` that is stuck is a peer that
does not read, with all that follows from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from .core.events import CloseReceived, Event, make_message
from .core.frames import pack_close, unpack_close
from .core.relay import Item, SendMessage, get_text
from .core.types import CloseCode
from .native import Lock, get_ident, monotonic
from .steps import DONE, Name, Taker, begin, go_on, iterate

__all__ = ["Exchange", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger("ws4py_middleware")

#: From so many bytes, or messages, on that nobody has taken yet, nothing more is asked for.
_READ_AHEAD_SIZE = 64 * 1024
_READ_AHEAD_MESSAGES = 16

#: How long messages may come until others have their turn, in seconds; and after how many that is looked at.
_TURN_TIME = 0.005
_TURN_MESSAGES = 16

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

    #: Messages are taken one by one, so that nothing is gained by holding them back.
    takes_bytes = False

    def __init__(self, scope: Scope, receive: Receive, send: Send, number: int) -> None:
        self.local_address = _address(scope.get("server"))
        self.peer_address = _address(scope.get("client"))
        self._receive = receive
        self._send = send
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._lock = Lock()
        self._readable: Callable[[], object] = _nothing
        self._writable: Callable[[], object] = _nothing
        self._taker: Taker | None = None
        # What has arrived and was not taken yet.
        self._arrived: deque[Event] = deque()
        self._arrived_size = 0
        self._room = asyncio.Event()
        self._heard: bytes | None = None  # the message that is being taken, and what it was made of
        self._heard_text: str | None = None
        self._is_full = False  # the reader waits for room
        self._count = 0  # messages, and since when; see _TURN_TIME
        self._since = 0.0
        self._ended = False  # the last event has arrived
        # What the server is taking, what it has begun to take, and whether it has.
        self._batch: Sequence[Item] | None = None
        self._begun: tuple[Any, Any] | None = None
        self._taken = False
        self._is_watched = False  # somebody waits for what it takes
        self._missed = False  # somebody wanted to send in the midst of it
        self._cut = False  # it takes nothing any more
        self._closing = False  # it was told to close the connection
        self._stopped = False  # nobody is interested any more
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._writer = Name(self._loop)

    # --- in the loop's thread ------------------------------------------------------------

    def start(
        self,
        readable: Callable[[], object],
        writable: Callable[[], object],
        taker: Taker | None = None,
    ) -> None:
        """
        Begin to receive and to send.

        Args:
            readable: Called when something has arrived.
            writable: Called when the server has taken what it was given.
            taker: Asked to take a message that has arrived when no other waits; what it has not taken
                waits for :meth:`recv`.
        """
        self._readable, self._writable = readable, writable
        self._taker = taker
        self._writer.task = self._loop.create_task(self._write())
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
        self._is_watched = True
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
        tasks = [task for task in (self._reader, self._writer.task) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._begun is not None:
            # The writer has ended before it has looked at it.
            with contextlib.suppress(Exception):
                self._writer.context.run(self._begun[0].close)
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
        receive = self._receive
        try:
            while not self._ended:
                while self._arrived and self._is_crowded():
                    await self._room.wait()
                if self._hear(await receive()):
                    await asyncio.sleep(0)
        except Exception:
            logger.debug("the server's receive() has failed", exc_info=True)

    def _hear(self, message: MutableMapping[str, Any]) -> bool:
        """Take what the server has received; return whether it is time that others have their turn."""
        fields = message if type(message) is dict else dict(message)
        if fields["type"] != "websocket.receive":
            self._take_in(fields)
            return False
        text = fields.get("text")
        if text is None:
            event = make_message(bytes(fields.get("bytes") or b""), False)
        elif type(text) is str:
            word = text  # typed in the compiled build
            event = make_message(word.encode(), True)
            self._heard, self._heard_text = event.data, word
        else:
            event = make_message(text.encode(), True)
        now = monotonic()
        taker = self._taker
        is_taken = taker is not None and not self._arrived and taker.take(event, now)
        self._heard = self._heard_text = None
        if not is_taken:
            self._arrive(event, len(event.data))
            return False
        # A server that has many at hand does not wait in receive(), and others want their turn.
        self._count += 1
        if self._count < _TURN_MESSAGES:
            return False
        since, self._since, self._count = self._since, now, 0
        return now - since > _TURN_TIME

    def _is_crowded(self) -> bool:
        with self._lock:
            arrived = self._arrived
            self._is_full = self._arrived_size >= _READ_AHEAD_SIZE or len(arrived) >= _READ_AHEAD_MESSAGES
            if self._is_full:
                self._room.clear()
            return self._is_full

    def _take_in(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.disconnect":
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
                begun, self._begun = self._begun, None
                if begun is not None:
                    await go_on(*begun, self._writer)
                    batch = batch[1:]
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
            iterator = iterate(self._send(_message(item)))
            await go_on(iterator, self._writer.context.run(begin, iterator), self._writer)
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

    def _say_now(self, items: Sequence[Item]) -> int:
        """Let the server take what it takes at once; return how many that were."""
        self._batch = items
        count = 0
        try:
            for item in items:
                if type(item) is not SendMessage:
                    break
                message = item
                if message.data is self._heard and message.is_text and message._text is None:
                    message._text = self._heard_text  # what is sent back needs not be decoded again
                iterator = iterate(self._send(_message(message)))
                waited = self._writer.begin(iterator)
                if waited is not DONE:
                    self._begun = iterator, waited
                    break
                count += 1
        except Exception:
            # Each server has its own exception for a client that has left; it says how in receive().
            logger.debug("the server's send() has failed", exc_info=True)
            self._loop.call_later(_LAST_WORD, self.end)
            self._writable = _nothing  # whoever sends learns of it here
            self._stop_sending()
        if self._cut:
            self._batch = None
            return len(items)  # as it will be from now on
        if count < len(items):
            self._batch = items[count:]
            self._wake.set()
        else:
            self._batch = None
            if self._is_watched:
                self._progress.set()
            if self._missed:
                self._missed = False
                self._loop.call_soon(self._writable)
        return count

    def _stop_sending(self) -> None:
        if not self._cut:
            self._cut = True
            self._wake.set()
            self._progress.set()
            self._writable()

    def _cancel(self) -> None:
        self._stopped = True
        self._readable = self._writable = _nothing
        self._taker = None
        for task in (self._reader, self._writer.task):
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
            was_full, self._is_full = self._is_full, False
        if was_full:
            self._call(self._room.set)
        return events or None

    def send(self, data: Any, /) -> int:
        """
        Give the server items, and return how many of them it has taken, or of those that it was given before.

        It is called with those that are left until it returns their number. When the server takes nothing
        more, everything counts as taken, as by the network.
        """
        # Not by get_running_loop(), which before Python 3.12 asks the system for the process, each time.
        is_here = get_ident() == self._thread and self._loop.is_running()
        self._lock.acquire()  # not by "with", which takes longer than all that it guards
        try:
            if self._cut or self._taken:
                self._batch, self._taken = None, False
                return len(data)
            if self._batch is not None:
                self._missed = True
                return 0
            if not is_here:
                self._batch = tuple(data)
        finally:
            self._lock.release()
        if is_here:
            return self._say_now(data)
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
        if get_ident() == self._thread:
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


def _message(item: SendMessage) -> dict[str, Any]:
    if item.is_text:
        return {"type": "websocket.send", "text": get_text(item)}
    return {"type": "websocket.send", "bytes": item.data}
