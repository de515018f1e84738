"""What goes to everybody in a room, one after the other, in this process."""

from __future__ import annotations

import logging

from ..core.prepared import PreparedMessage
from .entries import Entry
from .table import Seat

__all__ = ["fan_out"]

logger = logging.getLogger("ws4py_middleware")


def fan_out(room: str, seats: list[Seat], prepared: PreparedMessage) -> int:
    """
    Send a message to members, and wait for nobody.

    Returns:
        How many it was queued for.
    """
    count = 0
    entry: Entry | None = None
    for seat in seats:
        cursor = seat.cursor  # by name: a number takes five times as long where a tuple has names
        try:
            if cursor is None:
                if seat.receiver.deliver(prepared):
                    count += 1
            else:
                entry = entry or Entry(room, bytes(prepared.data), prepared.is_text)
                count += cursor.take(entry)
        except Exception:  # not a WebSocket's; one receiver's fault is not that of those behind it
            logger.exception("a message could not be delivered to %r", seat.receiver)
    return count
