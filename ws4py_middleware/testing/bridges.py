"""
The server of an ASGI application in memory: what comes on a connection becomes its messages, and back.

Frames are spoken by the core's :class:`~ws4py_middleware.core.connection.Connection`, without any limits:
those of a real server are its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any

from ..core.connection import Connection
from ..core.events import CloseReceived, MessageReceived
from ..core.handshake import Request, accept_request
from ..core.policy import Policy
from ..core.types import Side
from .clocks import Clock
from .responses import Response
from .wires import MemoryTransport

__all__ = ["Bridge"]

#: So much may wait for a client that does not read, before ``send()`` does; bytes.
_HIGH_WATER = 64 * 1024

#: So many messages may wait for the application, before no more are read.
_AHEAD = 16

Message = MutableMapping[str, Any]


class Bridge:
    """
    One WebSocket between a connection in memory and an ASGI application.

    Args:
        transport: The server's end of the connection.
        request: The opening handshake.
        clock: What the time is.
        leave: Called when there is nothing more to do.
    """

    def __init__(
        self, transport: MemoryTransport, request: Request, clock: Clock, leave: Callable[[Bridge], object]
    ) -> None:
        #: The answer in place of the 101, when there is one.
        self.response: Response | None = None
        self._transport = transport
        self._request = request
        self._clock = clock
        self._leave = leave
        self._conn: Connection | None = None
        self._incoming: deque[Message] = deque([{"type": "websocket.connect"}])
        self._end: Message | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._started: Message | None = None
        self._body = b""

    @property
    def is_answered(self) -> bool:
        """Whether the opening handshake has its answer."""
        return self._conn is not None or self.response is not None

    # --- what the application calls --------------------------------------------------------

    async def receive(self) -> Message:
        """Return the next message; at the end it is ``websocket.disconnect``, again and again."""
        while not self._incoming:
            if self._end is not None:
                await asyncio.sleep(0)  # who asks for ever does not stop the loop
                return self._end
            self._wake.clear()
            await self._wake.wait()
        return self._incoming.popleft()

    async def send(self, message: Message) -> None:
        """Take a message; wait, when the client does not read."""
        kind = message["type"]
        if self._conn is not None:
            await self._send(self._conn, message)
        elif self.response is not None:
            raise BrokenPipeError(f"{kind}: the opening handshake was refused")
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._refuse(Response(403, []))
        elif kind == "websocket.http.response.start":
            self._started = message
        elif kind == "websocket.http.response.body" and self._started is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                headers = [(_text(name), _text(value)) for name, value in self._started.get("headers", ())]
                self._refuse(Response(self._started["status"], headers, self._body))
        else:
            raise RuntimeError(f"{kind} cannot be sent before websocket.accept")

    def _accept(self, message: Message) -> None:
        chosen = message.get("subprotocol")
        headers = [(_text(name), _text(value)) for name, value in message.get("headers") or ()]
        policy = Policy(
            subprotocols=() if chosen is None else [chosen],
            origins="*",
            max_message_size=None,
            ping_interval=None,
            write_timeout=None,
            close_timeout=None,
        )
        upgrade = accept_request(self._request, policy, headers=headers)
        self._transport.sendall(upgrade.build_response(), 0.0)
        self._conn = Connection(Side.SERVER, policy, upgrade.extensions, now=self._clock())

    def _refuse(self, response: Response) -> None:
        self.response = response
        self._disconnect(1006, "")
        self._leave(self)

    async def _send(self, conn: Connection, message: Message) -> None:
        kind = message["type"]
        if not conn.is_open():
            raise BrokenPipeError(f"{kind}: the connection has ended")
        if kind == "websocket.close":
            conn.close(message.get("code", 1000), message.get("reason") or "", self._clock())
            self.step()
        elif kind == "websocket.send":
            text = message.get("text")
            data = bytes(message.get("bytes") or b"") if text is None else text.encode()
            conn.send_message(data, text is not None)
            self.step()
            while conn.queued > _HIGH_WATER and conn.is_open():
                self._room.clear()
                await self._room.wait()
            if not conn.is_open():
                raise BrokenPipeError("the client has left")
        else:
            raise RuntimeError(f"{kind} cannot be sent behind websocket.accept")

    def finish(self, code: int, reason: str) -> bool:
        """End the connection, as far as the application has not; return whether it has left it open."""
        conn = self._conn
        if conn is None:
            return False
        was_open = conn.is_open()
        conn.fail(code, reason, self._clock())
        self.step()
        return was_open

    # --- an actor --------------------------------------------------------------------------

    def step(self) -> bool:
        """Bring what has come, and send what is to be sent."""
        conn = self._conn
        if conn is None:
            return False
        moved = self._read(conn)
        while data := conn.data_to_send():
            whole = b"".join(data) if isinstance(data, list) else bytes(data)
            try:
                sent = self._transport.send(whole)
            except OSError as error:
                conn.lose(error.strerror or str(error))
                break
            conn.data_sent(sent, self._clock())
            moved = moved or sent > 0
            if sent < len(whole):
                break
        if conn.queued <= _HIGH_WATER or not conn.is_open():
            self._room.set()
        if conn.is_closed():
            self._disconnect(conn.close_code, conn.close_reason)
            self._hang_up(conn)
        return moved

    def next_deadline(self) -> float | None:
        """It waits for nothing but the two ends."""
        return None

    def is_busy(self) -> bool:
        """It has no thread."""
        return False

    def fileno(self) -> int:
        """There is no descriptor."""
        return -1

    def _read(self, conn: Connection) -> bool:
        if conn.finished or conn.eof_received or len(self._incoming) >= _AHEAD:
            return False
        try:
            data = self._transport.recv(_HIGH_WATER)
        except OSError as error:
            conn.lose(error.strerror or str(error))
            return True
        if data is None:
            return False
        if data:
            conn.receive_data(data, self._clock())
        else:
            conn.receive_eof(self._clock())
        while True:
            while (event := conn.next_event()) is not None:
                if isinstance(event, MessageReceived):
                    key, value = ("text", event.data.decode()) if event.is_text else ("bytes", event.data)
                    self._incoming.append({"type": "websocket.receive", key: value})
                elif isinstance(event, CloseReceived):
                    self._disconnect(event.code, event.reason)
            if not conn.has_more:
                break
            conn.receive_data(b"", self._clock())
        self._wake.set()
        return True

    def _disconnect(self, code: int, reason: str) -> None:
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._wake.set()

    def _hang_up(self, conn: Connection) -> None:
        if conn.finished:
            if not self._transport.is_closed:
                self._transport.close()
            self._leave(self)
        elif conn.half_close:
            self._transport.shutdown_write()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
