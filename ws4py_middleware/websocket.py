"""
The WebSocket: the class whose hooks an application fills in.

::

    from ws4py_middleware import WebSocket

    class Chat(WebSocket):
        def opened(self):
            self.join(self.params["room"])

        def received_message(self, message):
            self.hub.publish(self.params["room"], message)

        def closed(self, code, reason=None):
            ...

For one connection the hooks are called one after the other: ``opened()``, then
``received_message()`` and ``ponged()`` in the order of arrival, then ``closed()``,
exactly once, whatever happens. ``send()`` may be called from any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from .core.connection import Connection
from .core.policy import Policy
from .core.types import Buffer, Side, State
from .direct import CallersLoop, SourceTransport
from .exc import find_leaving_code
from .figures import ConnectionStats, inspect
from .heartbeat import Heartbeat
from .hub.membership import InRooms
from .hub.replay import SUBPROTOCOL, Replay, replaying_link
from .link import Link
from .messaging import (
    Message,
)
from .sending import send
from .streaming import Stream

if TYPE_CHECKING:
    from .admission import Claim
    from .handover import Taken

__all__ = ["DEFAULT_READING_SIZE", "EchoWebSocket", "Heartbeat", "WebSocket"]

logger = logging.getLogger("ws4py_middleware")

#: What a hook returns: nothing; those of an async WebSocket may return what is awaited.
HookResult = Awaitable[None] | None

#: ws4py's name for how many bytes it read first; whole reads are made here.
DEFAULT_READING_SIZE = 2


class WebSocket(InRooms):
    """
    One connection, and what the application makes of it.

    Args:
        sock: The connected socket, or anything with ``sendall(bytes)`` and
            ``recv(size)``; ``None`` when a manager will bring it.
        protocols: The subprotocol that was agreed on, in a list; ``None`` without one.
        extensions: The extensions that were agreed on.
        environ: The WSGI environ of the request; empty when there was none.
        heartbeat_freq: Seconds between two pings; ``None`` or 0 leaves it to the policy.
    """

    #: What a peer of this class may cost; a route may say otherwise.
    #:
    #: :meta hide-value:
    policy: Policy = Policy()

    #: ws4py's next size to read; it read a header in two bytes. Whole reads are made here.
    reading_buffer_size: int = DEFAULT_READING_SIZE

    _side: ClassVar[Side] = Side.SERVER
    #: Whether its hooks may be ``async def``, so that it needs an asyncio loop.
    _is_async: ClassVar[bool] = False
    _marked: frozenset[Side] = frozenset()
    _stream: Stream | None = None
    _link: Link | None = None
    #: The connection that a server has taken out of itself, until a manager has it.
    _taken: Taken | None = None
    #: What it counts for, where that is limited.
    _claim: Claim | None = None

    def __init__(
        self,
        sock: Any = None,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        environ: dict[str, Any] | None = None,
        heartbeat_freq: float | None = None,
    ) -> None:
        self.sock = sock
        self.protocols = protocols
        self.extensions = extensions
        self.environ: dict[str, Any] = {} if environ is None else environ
        self.heartbeat_freq = heartbeat_freq
        #: What the route took out of the path.
        self.params: Mapping[str, Any] = {}

    # --- hooks ---------------------------------------------------------------------------

    def opened(self) -> HookResult:
        """Do what is to be done when the opening handshake has succeeded."""

    def received_message(self, message: Message) -> HookResult:
        """
        Take a message, a :class:`~.messaging.TextMessage` or :class:`~.messaging.BinaryMessage`.

        A class without this hook finds its messages through :meth:`receive` or
        by iteration.
        """
        self._ensure_link().deliver(message)
        return None

    def ponged(self, pong: Message) -> HookResult:
        """Take a pong; those that answer the keepalive pings are not passed on, see :attr:`latency`."""

    def closed(self, code: int, reason: str | None = None) -> HookResult:
        """
        Do what is to be done when the connection has ended.

        Args:
            code: The peer's close code; else the one that this end failed the
                connection with; else 1006.
            reason: What was said about it.
        """

    def reauthorize(self) -> Any:
        """
        Say whether the connection may go on when ``policy.max_lifetime`` has passed.

        Returns:
            ``True`` or ``None`` for another lifetime; ``False`` closes it with 1008, and so does a class
            without this hook whose policy has no ``reauthorize`` either.
        """
        policy = self._ensure_link().policy
        return False if policy.reauthorize is None else policy.reauthorize(self)

    def unhandled_error(self, error: BaseException) -> HookResult:
        """Take an error of the operating system that is neither the peer's nor the application's doing."""
        logger.error("%r: %s", self, error)
        return None

    # --- sending -------------------------------------------------------------------------

    send = send

    def ping(self, message: str | Buffer = b"") -> None:
        """
        Send a ping; :meth:`ponged` takes the answer.

        Raises:
            ValueError: It is longer than 125 bytes.
            ConnectionClosed: As :meth:`send`.
        """
        self._ensure_link().ping(message.encode() if isinstance(message, str) else bytes(message))

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """
        Begin the closing handshake, and do not wait for its end. Again does nothing.

        What was sent before goes out before. The peer has ``policy.close_timeout``
        seconds to answer.

        Args:
            code: 1000, 1001, 1008, 1011 or 3000 to 4999 are those an application has use for.
            reason: Cut to 123 bytes.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`.
        """
        self._ensure_link().close(code, reason)

    # --- receiving -----------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> Message | None:
        """
        Wait for the next message; for handlers that are functions, and for threads of one's own.

        At most ``policy.receive_queue_messages`` wait to be taken; then nothing
        more is read, and the peer has to wait.

        Args:
            timeout: Seconds; ``None`` waits for as long as it takes.

        Returns:
            The message; ``None`` when the connection has ended.

        Raises:
            TimeoutError: No message came in time.
            RuntimeError: It was called from a hook, which would wait for itself.
        """
        return self._ensure_link().receive(timeout)

    def __iter__(self) -> Iterator[Message]:
        """Iterate over the messages, until the connection ends."""
        while (message := self.receive()) is not None:
            yield message

    # --- state ---------------------------------------------------------------------------

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self.protocols[0] if self.protocols else None

    @property
    def latency(self) -> float | None:
        """Seconds from the last keepalive ping to its pong; ``None`` before the first."""
        return None if self._link is None else self._link.conn.latency

    def stats(self) -> ConnectionStats:
        """Return the figures of the connection so far; from any thread, and after the end, too."""
        return inspect(self, self._link)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        link = self._link
        return link is not None and link.conn.state is State.OPEN and not link.is_closed

    @property
    def client_terminated(self) -> bool:
        """Whether the client has said that it is done, or is gone, or was marked so."""
        return self._is_terminated(Side.CLIENT)

    @client_terminated.setter
    def client_terminated(self, value: bool) -> None:
        self._mark(Side.CLIENT, value)

    @property
    def server_terminated(self) -> bool:
        """Whether the server has said that it is done, or is gone, or was marked so."""
        return self._is_terminated(Side.SERVER)

    @server_terminated.setter
    def server_terminated(self, value: bool) -> None:
        self._mark(Side.SERVER, value)

    @property
    def terminated(self) -> bool:
        """Whether both ends have said that they are done, or the connection is lost."""
        return self.client_terminated and self.server_terminated

    @property
    def stream(self) -> Stream:
        """
        A stream with ws4py's two settings for the masks of this end.

        ``stream.always_mask = True``, before anything is sent or read, makes it a
        client's. The bytes themselves go through the core, not through this object.
        """
        if self._stream is None:
            is_client = self._side is Side.CLIENT
            self._stream = Stream(always_mask=is_client, expect_masking=not is_client)
        return self._stream

    @stream.setter
    def stream(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def connection(self) -> Any:
        """The socket; ws4py's other name for :attr:`sock`."""
        return self.sock

    @property
    def local_address(self) -> Any:
        """This end's address: (host, port), or the path of a Unix socket."""
        return self._transport.local_address

    @property
    def peer_address(self) -> Any:
        """The peer's address: (host, port), or the path of a Unix socket; also after the end."""
        return self._transport.peer_address

    def _mark(self, side: Side, value: bool) -> None:
        self._marked = self._marked | {side} if value else self._marked - {side}

    def _is_terminated(self, side: Side) -> bool:
        if side in self._marked:
            return True
        if self._link is None:
            return False
        conn = self._link.conn
        if conn.state is State.CLOSED:
            return True
        return (conn.close_sent if side is conn.side else conn.close_received) is not None

    @property
    def _transport(self) -> Any:
        return SourceTransport(self.sock) if self._link is None else self._link.transport

    # --- without a manager: the caller's thread ----------------------------------------------

    def run(self) -> None:
        """
        Read and call the hooks until the connection ends, in this thread.

        This is for a WebSocket that no manager has, such as a client's.
        """
        link = self._ensure_link()
        frequency = self.heartbeat_freq
        heartbeat = Heartbeat(self, frequency) if frequency else None
        try:
            if heartbeat is not None:
                heartbeat.start()
            link.turn()
            while not self.terminated and self.once():
                pass
        finally:
            if heartbeat is not None:
                heartbeat.stop()
            self.terminate()

    def once(self) -> bool:
        """
        Read once, and call the hooks for what came; for a WebSocket that no manager has.

        Returns:
            Whether there may be more.
        """
        link = self._ensure_link()
        if link.conn.finished or self.terminated:
            return False
        link.read()
        return not self.terminated

    def process(self, data: bytes) -> bool:
        """
        Call the hooks for bytes that came from the peer; for a WebSocket without a manager or a socket.

        Returns:
            Whether there may be more; ``False`` for no bytes at all, which is the end.
        """
        link = self._ensure_link()
        if not data or self.terminated:
            return False
        link.feed(data)
        return not self.terminated

    def terminate(self) -> None:
        """End the connection now: :meth:`closed` is called, and the socket closed. Again does nothing."""
        self._ensure_link().terminate()

    def close_connection(self) -> None:
        """Close the socket, without a closing handshake."""
        link = self._ensure_link()
        try:
            if link.loop.is_shared:
                link.terminate()
            else:
                link.release()
        finally:
            self.sock = None

    def _ensure_link(self) -> Link:
        link = self._link
        if link is None:
            policy = self.policy
            if self.heartbeat_freq:
                # For a manager that it may be added to; nobody else asks for the deadlines.
                policy = policy.replace(ping_interval=self.heartbeat_freq)
            masks = self._stream is not None and self._stream.always_mask
            side = Side.CLIENT if masks else self._side
            conn = Connection(side, policy, self.extensions or (), now=monotonic())
            link = self._bind(self._new_link(Link, SourceTransport(self.sock), conn, CallersLoop(self.sock)))
        return link

    def _new_link(self, kind: type[Link], transport: Any, conn: Any, loop: Any) -> Link:
        if self._side is Side.SERVER and self.subprotocol == SUBPROTOCOL:
            self._resuming = Replay(self)
            kind = replaying_link(kind)  # type: ignore[arg-type]  # of any kind
        return kind(self, transport, conn, loop)

    def _bind(self, link: Link) -> Link:
        """Belong to a link from now on."""
        self._link = link
        if self._hub is not None or self._resuming is not None:
            self._leave_at_the_end()
        return link

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(find_leaving_code(error))

    def __repr__(self) -> str:
        state = "new" if self._link is None else self._link.conn.state.name.lower()
        return f"<{type(self).__name__} {state} at {id(self):#x}>"


class EchoWebSocket(WebSocket):
    """Send each message back as it came."""

    def received_message(self, message: Message) -> None:
        """Send the message back."""
        self.send(message)
