"""
The WebSocket whose hooks may be ``async def``.

::

    from ws4py_middleware.async_websocket import WebSocket

    class Echo(WebSocket):
        async def received_message(self, message):
            await self.send(message)

It lives in an asyncio loop: in an ASGI application, or in the server of
:mod:`ws4py_middleware.server.asyncioserver`. For one connection the hooks are awaited one after the
other, as everywhere. ``send()`` queues at once, with and without ``await``; to await it waits until there
is room for more, so that a fast handler does not run away from a slow peer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .core.types import Buffer
from .messaging import Message
from .sending import Queued, send, send_async
from .websocket import EchoWebSocket as _EchoWebSocket
from .websocket import WebSocket as _WebSocket

if TYPE_CHECKING:
    from .tasklink import TaskLink

__all__ = ["AsyncWebSocket", "EchoWebSocket", "Queued", "WebSocket"]


class WebSocket(_WebSocket):
    """
    A :class:`~ws4py_middleware.websocket.WebSocket` with hooks that may be ``async def``.

    Args:
        proto: The protocol that reads and writes; ws4py's name. A server brings it along.
        protocols, extensions, environ, heartbeat_freq: As there.
    """

    _is_async = True

    #: Whether a class between this one and its base sends in its own way.
    _sends_on = False

    def __init__(
        self,
        proto: Any = None,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        environ: dict[str, Any] | None = None,
        heartbeat_freq: float | None = None,
        *,
        sock: Any = None,
    ) -> None:
        super().__init__(sock, protocols, extensions, environ, heartbeat_freq)
        self.proto = proto

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._sends_on = super().send is not send

    def _send_on(self, payload: str | Buffer | Message | Iterable[Any], binary: bool) -> None:
        super().send(payload, binary)

    send = send_async  # type: ignore[assignment]  # may be awaited, too

    def ping(self, message: str | Buffer = b"") -> Queued:  # type: ignore[override]  # may be awaited, too
        """Send a ping; :meth:`ponged` takes the answer."""
        super().ping(message)
        return Queued(self)

    # What it returns may be awaited, too.
    def close(self, code: int | None = 1000, reason: str = "") -> Queued:  # type: ignore[override]
        """Begin the closing handshake, and do not wait for its end."""
        super().close(code, reason)
        return Queued(self)

    # A coroutine here.
    async def receive(self, timeout: float | None = None) -> Message | None:  # type: ignore[override]
        """
        Wait for the next message; for handlers that are functions, and for tasks of one's own.

        Args:
            timeout: Seconds; ``None`` waits for as long as it takes.

        Returns:
            The message; ``None`` when the connection has ended.

        Raises:
            TimeoutError: No message came in time.
            RuntimeError: It was called from a hook, which would wait for itself.
        """
        return await self._task_link().receive_async(timeout)

    def __iter__(self) -> Iterator[Message]:
        raise TypeError("write 'async for message in ws': this WebSocket lives in an asyncio loop")

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages, until the connection ends."""
        while (message := await self.receive()) is not None:
            yield message

    def _task_link(self) -> TaskLink:
        link = self._link
        if link is None:
            raise RuntimeError("it is not connected yet; opened() is the first place to wait in")
        return link  # type: ignore[return-value]  # tasks make no other


class EchoWebSocket(WebSocket, _EchoWebSocket):
    """Send each message back as it came."""

    async def received_message(self, message: Message) -> None:  # type: ignore[override]  # a coroutine here
        """Send the message back."""
        _EchoWebSocket.received_message(self, message)
        await Queued(self)


#: The name for those who have both.
AsyncWebSocket = WebSocket
