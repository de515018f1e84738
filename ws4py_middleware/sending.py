"""
What ``send()`` does with what it is given; methods of :class:`~.websocket.WebSocket`.

They stand here because all messages pass through them, and what is no class of a user's can be compiled.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from .core.prepared import PreparedMessage
from .core.types import Buffer
from .corks import find_cork, flush_if_let_go
from .hub.fanout import deliver
from .link import Link
from .messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from .payloads import check_pieces, check_text

__all__ = ["Queued", "deliver_all", "send", "send_async"]

# An iterator that is at its end, for ``await``s that wait for nothing.
_NOTHING: Any = iter(())


def send(self: Any, payload: str | Buffer | Message | Iterable[Any], binary: bool = False) -> None:
    """
    Send a message. Safe from any thread; frames never interleave.

    When more than ``policy.write_high_water`` bytes wait for the peer, the
    call waits too (``queue_policy="block"``). A hook that the manager calls
    cannot wait: from ``policy.write_limit`` on, the connection is closed with 1013.

    Args:
        payload: str and bytes are one frame; a message is sent as what it is;
            of any other iterable each item is one frame of a fragmented message.
        binary: Send it as a binary message. Bytes are text otherwise, as in ws4py.

    Raises:
        ConnectionClosed: The connection has ended, or is about to.
        ValueError: The payload is of another type, or is to be text and is not UTF-8.
    """
    link: Link | None = self._link
    if link is None:
        link = self._ensure_link()
    assert link is not None
    kind = type(payload)
    if kind is str:
        link.send_message(payload.encode(), not binary)  # type: ignore[union-attr]  # it is one
    elif kind is TextMessage or kind is BinaryMessage:
        _send_data(link, payload, kind is TextMessage)  # type: ignore[arg-type]  # it is one
    elif isinstance(payload, str):
        link.send_message(payload.encode(), not binary)
    elif isinstance(payload, bytes | bytearray | memoryview):
        # A view may have items of several bytes, and what it views may change while it waits.
        data = bytes(payload)
        if not binary:
            check_text(data)
        link.send_message(data, not binary)
    elif isinstance(payload, Message):
        _send_message(link, payload)
    elif hasattr(payload, "__iter__") and not isinstance(payload, Mapping):
        _send_fragments(link, payload, binary)
    else:
        raise ValueError(f"a message is str, bytes, a Message or an iterable, not {type(payload).__name__}")


class Queued:
    """What ``send()`` returns; to await it waits until there is room for more."""

    __slots__ = ("_websocket",)

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket

    def __await__(self) -> Generator[Any, None, None]:
        # A client that is not connected can be told to close.
        link = self._websocket._link
        steps: Generator[Any, None, None]
        steps = _NOTHING if link is None or link.has_room else link.wait_for_room().__await__()
        return steps


def send_async(self: Any, payload: str | Buffer | Message | Iterable[Any], binary: bool = False) -> Queued:
    """
    Send a message; ``await`` it to wait for room.

    From another thread than the loop's the call itself waits, as that of
    :meth:`ws4py_middleware.websocket.WebSocket.send`.
    """
    if self._sends_on:
        self._send_on(payload, binary)
    else:
        send(self, payload, binary)
    queued = Queued.__new__(Queued)
    queued._websocket = self
    return queued


def deliver_all(links: list[Link], message: PreparedMessage, kind: type[Any]) -> int:
    """
    Send a message to many, and wait for nobody.

    Args:
        kind: The handlers that get it.

    Returns:
        How many it was queued for.
    """
    count = 0
    cork = find_cork()
    seen: type | None = None
    is_direct = False
    try:
        for link in links:
            handler: Any = link.handler
            if type(handler) is not seen:
                seen = type(handler)
                is_direct = getattr(seen, "deliver", None) is deliver
            if is_direct:
                if link.send_shared(message, cork):
                    count += 1
            elif isinstance(handler, kind):
                if handler.deliver(message):
                    count += 1
                if cork is not None:  # the next one may wait, and this one may have
                    flush_if_let_go(cork)
                    cork = find_cork()
    finally:
        flush_if_let_go(cork)
    return count


def _send_data(link: Link, message: Message, is_text: bool) -> None:
    if is_text and not message.completed:
        check_text(message.data)  # not one that was received
    link.send_message(message.data, is_text)


def _send_message(link: Link, message: Message) -> None:
    if isinstance(message, CloseControlMessage):
        link.close(message.code or None, str(message))
    elif isinstance(message, PingControlMessage):
        link.ping(message.data)
    elif isinstance(message, PongControlMessage):
        link.pong(message.data)
    elif message.is_text or message.is_binary:
        _send_data(link, message, message.is_text)
    else:
        raise ValueError(f"{message!r} is neither text nor binary, and no control message")


def _send_fragments(link: Link, chunks: Iterable[Any], binary: bool) -> None:
    pieces = check_pieces(chunks, not binary)
    if not link.begin_fragments():
        link.send_message(b"".join(pieces), not binary)
        return
    first = True
    last: bytes | None = None
    try:
        for piece in pieces:
            if last is not None:
                link.send_fragment(last, not binary, first=first, fin=False)
                first = False
            last = piece
        link.send_fragment(last or b"", not binary, first=first, fin=True)
    except BaseException:
        if not first:
            link.abandon_fragments()
        raise
    finally:
        link.end_fragments()
