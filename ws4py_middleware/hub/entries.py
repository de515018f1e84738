"""Messages of rooms, in the shapes in which members get them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NamedTuple

from ..core.prepared import PreparedMessage
from ..core.types import Buffer
from .backplane import Envelope

__all__ = [
    "BARE",
    "MARK",
    "MARKED",
    "PLAIN",
    "Entry",
    "KeptMessage",
    "Marked",
    "Page",
    "Place",
    "build_note",
    "escape",
    "make_entry",
    "parse_place",
]

#: Where a message stands, so that two can be compared; within one epoch.
Place = tuple[int, int]

#: What begins each message of the subprotocol, RECORD SEPARATOR.
MARK = b"\x1e"
#: The shapes: as it was published, as a JSON object, as a JSON object behind the mark.
PLAIN, BARE, MARKED = range(3)

_PLACE = re.compile(r"(\d{1,20})-(\d{1,20})")
_MAX_PART = 2**64


class Marked(PreparedMessage):
    """A message whose mark is the protocol's own, and no application's."""

    __slots__ = ()


class KeptMessage(NamedTuple):
    """A message that a room has kept: its id, and what was published, str or bytes."""

    id: str
    data: str | bytes


class Entry:
    """
    One message of a room.

    Args:
        id: Its id in the history; ``None`` when it has none.
        place: The same, to be compared.
        exclude: The ids of members who do not get it.
        key: What it is known by as long as it has no id.
        tells_key: Whether members are told the key although there is an id: they may have had it by that.
    """

    __slots__ = ("_shapes", "exclude", "id", "is_text", "key", "payload", "place", "room", "tells_key")

    def __init__(
        self,
        room: str,
        payload: bytes,
        is_text: bool,
        exclude: tuple[str, ...] = (),
        id: str | None = None,
        place: Place | None = None,
        key: str | None = None,
        *,
        tells_key: bool = False,
    ) -> None:
        self.room = room
        self.payload = payload
        self.is_text = is_text
        self.exclude = exclude
        self.id = id
        self.place = place
        self.key = key
        self.tells_key = tells_key
        self._shapes: list[PreparedMessage | None] = [None, None, None]

    def shape(self, style: int) -> PreparedMessage:
        """Return it as a member gets it; made once for all of them."""
        shape = self._shapes[style]
        if shape is None:
            shape = self._shapes[style] = self._make(style)
        return shape

    def _make(self, style: int) -> PreparedMessage:
        if style == PLAIN:
            return PreparedMessage(self.payload, self.is_text)
        fields: dict[str, Any] = {}
        if self.id is not None:
            fields["id"] = self.id
        if self.key is not None and (self.id is None or self.tells_key):
            fields["key"] = self.key
        if self.is_text:
            fields["data"] = self.payload.decode()
        else:
            fields["base64"] = base64.b64encode(self.payload).decode()
        return build_note(style, self.room, **fields)

    def kept(self) -> KeptMessage:
        """Return it for a view."""
        return KeptMessage(self.id or "", self.payload.decode() if self.is_text else self.payload)


def parse_place(id: str) -> Place | None:
    """
    Return where an id of Redis stands; ``None`` when it is none.

    >>> parse_place("1718-2"), parse_place("a-1")
    ((1718, 2), None)
    """
    match = _PLACE.fullmatch(id) if id.isascii() else None
    place = (int(match[1]), int(match[2])) if match else None
    return place if place is not None and max(place) < _MAX_PART else None


def make_entry(envelope: Envelope) -> Entry:
    """Make what a hub delivers of what a backplane brings."""
    id = envelope.position
    return Entry(
        envelope.room,
        envelope.payload,
        envelope.is_text,
        envelope.exclude,
        id,
        None if id is None else parse_place(id),
        envelope.key,
        tells_key=envelope.is_late,
    )


class Page(NamedTuple):
    """What was read of a history at once."""

    #: The oldest first.
    entries: list[Entry]
    #: Where it ends: with the last entry, or, when there is none, where the history does.
    id: str
    place: Place
    #: Whether there was no more.
    is_end: bool
    #: Whether something between where it should begin and the first entry is not kept, or not known.
    has_gap: bool


def build_note(style: int, room: str, **fields: Any) -> PreparedMessage:
    """Build a message of the protocol."""
    text = json.dumps({"room": room, **fields}, ensure_ascii=False, separators=(",", ":")).encode()
    return Marked(MARK + text, True) if style == MARKED else PreparedMessage(text, True)


def escape(data: Buffer) -> Buffer:
    r"""
    Return a text of the application, or what it begins with, as it is sent: with one mark more if it has one.

    >>> escape(b"hello"), escape(b"\x1ehello")
    (b'hello', b'\x1e\x1ehello')
    """
    return MARK + bytes(data) if bytes(data[:1]) == MARK else data
