"""Cursors: how far one member has heard one room."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from typing import Any

from ..core.prepared import PreparedMessage
from .entries import MARKED, PLAIN, Entry, Place, build_note
from .members import Receiver

__all__ = ["Cursor", "State"]

logger = logging.getLogger("ws4py_middleware")


class State(enum.Enum):
    """What a member gets."""

    #: Nothing, until its client has said where it was.
    WAITING = "waiting"
    #: What the history has; what is published now will be there by then.
    BEHIND = "behind"
    #: What is published.
    LIVE = "live"
    #: Nothing any more.
    ENDED = "ended"


_BEHIND = State.BEHIND
_LIVE = State.LIVE


class Cursor:
    """
    How far one member has heard one room, for those who are to miss nothing.

    Whoever calls it holds the lock of its room.

    Args:
        style: The shape of its messages, one of :mod:`.entries`.
        born: How many messages were delivered without an id before it came.
    """

    __slots__ = (
        "born",
        "has_since",
        "id",
        "is_told",
        "member_id",
        "place",
        "receiver",
        "room",
        "state",
        "style",
    )

    def __init__(self, room: str, receiver: Receiver, style: int, born: int = 0) -> None:
        self.room = room
        self.receiver = receiver
        self.style = style
        self.born = born
        self.member_id = ""
        self.state = State.WAITING
        #: Where it is; ``None``: where the room is when it begins.
        self.id: str | None = None
        self.place: Place | None = None
        #: Whether it began at an id of its own.
        self.has_since = False
        #: Whether the peer knows an id.
        self.is_told = style == PLAIN

    def take(self, entry: Entry) -> bool:
        """Take what is published now; return whether it was sent, or will be when it is read."""
        if self.state is _LIVE:
            place = entry.place
            if place is not None and self.place is not None and place <= self.place:
                return True  # it was in the history already
            return self.pass_on(entry)
        if self.state is _BEHIND:
            return entry.place is not None or self.pass_on(entry)
        return False

    def pass_on(self, entry: Entry) -> bool:
        """Send a message; who is excluded is told that it is past it."""
        if self.member_id in entry.exclude:
            if self.style != PLAIN and entry.id is not None:
                self.tell(id=entry.id)
            return False
        if entry.id is not None:
            self.is_told = True
        return self.send(entry.shape(self.style))

    def begin_live(self, place: Place | None) -> None:
        """Get what is published from now on, behind a place."""
        self.state = _LIVE
        self.place = place
        if not self.is_told and self.id is not None:
            self.tell(id=self.id)

    def fall_behind(self, id: str | None, place: Place | None) -> None:
        """Read on in the history."""
        self.state = _BEHIND
        self.id = id
        self.place = place

    def tell(self, **fields: Any) -> None:
        """Tell the peer something of the room, if it understands that."""
        if self.style != PLAIN:
            self.is_told = self.is_told or "id" in fields
            self.send(build_note(self.style, self.room, **fields))

    def keep_oldest(self) -> None:
        """Let none be dropped that it has taken already; one that is not taken is read again."""
        keep: Callable[[], None] | None = getattr(self.receiver, "_keep_oldest", None)
        if keep is not None:
            keep()

    def has_room(self, waker: Any) -> bool:
        """Return whether more can be sent now; else the waker is set when it can, or the peer is gone."""
        ask: Callable[[Any], bool] | None = getattr(self.receiver, "_has_room", None)
        return ask is None or ask(waker)

    def end(self) -> None:
        """Get nothing any more, because it was taken out."""
        was_waiting = self.state is State.WAITING
        self.state = State.ENDED
        if self.style == MARKED and not was_waiting and self.receiver.is_open:
            self.tell(left=True)

    def send(self, message: PreparedMessage) -> bool:
        """Send a message as it is; return whether it was queued."""
        try:
            return bool(self.receiver.deliver(message))
        except Exception:  # not a WebSocket's; one receiver's fault is not that of those behind it
            logger.exception("a message could not be delivered to %r", self.receiver)
            return False
