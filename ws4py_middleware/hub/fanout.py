"""What goes to everybody in a room, one after the other, in this process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..core.prepared import PreparedMessage
from ..corks import Corkable, find_cork, flush_if_let_go
from .entries import Entry
from .members import Member, Receiver

if TYPE_CHECKING:
    from .cursors import Cursor

__all__ = ["Seat", "deliver", "fan_out"]

logger = logging.getLogger("ws4py_middleware")


def deliver(self: Any, message: PreparedMessage) -> bool:
    """
    Take a message that goes to many; never wait and never raise. Return whether it was queued.

    A method of each WebSocket. A room looks when one joins whether it has another one.
    """
    link: Corkable | None = self._link
    if link is None:
        return False
    cork = find_cork()
    is_sent = link.send_shared(message, cork)
    flush_if_let_go(cork)
    return is_sent


class Seat:
    """
    Somebody in a room, with who gets the messages: a member alone does not keep its receiver.

    Args:
        cursor: For those who are to miss nothing.
    """

    __slots__ = ("cursor", "link", "member", "receiver")

    def __init__(self, member: Member, receiver: Any, cursor: Cursor | None = None) -> None:
        self.member = member
        self.receiver: Receiver = receiver
        self.cursor = cursor
        #: What a WebSocket's own deliver() would send by, which is not asked a thousand times.
        self.link: Corkable | None = None
        if getattr(receiver.deliver, "__func__", None) is deliver:
            self.link = receiver._link

    def has_moved(self) -> bool:
        """Tell whether it has another connection by now, as a client may."""
        receiver: Any = self.receiver
        return receiver._link is not self.link


def fan_out(room: str, seats: list[Seat], prepared: PreparedMessage) -> int:
    """
    Send a message to members, and wait for nobody.

    Returns:
        How many it was queued for.
    """
    count = 0
    entry: Entry | None = None
    cork = find_cork()
    try:
        for seat in seats:
            cursor = seat.cursor
            link = seat.link
            try:
                if cursor is not None:
                    entry = entry or Entry(room, bytes(prepared.data), prepared.is_text)
                    is_sent = cursor.take(entry)
                else:
                    is_sent = link is not None and link.send_shared(prepared, cork)
                    if not is_sent and (link is None or seat.has_moved()):
                        is_sent = seat.receiver.deliver(prepared)
                        if cork is not None:  # the next one may wait, and this one may have
                            flush_if_let_go(cork)
                            cork = find_cork()
                if is_sent:
                    count += 1
            except Exception:  # not a WebSocket's; one receiver's fault is not that of those behind it
                logger.exception("a message could not be delivered to %r", seat.receiver)
    finally:
        flush_if_let_go(cork)
    return count
