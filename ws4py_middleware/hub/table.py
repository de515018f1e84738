"""The table of who is in which room. It knows no lock and calls nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exc import PolicyViolation
from .fanout import Seat
from .members import Member, Receiver, make_id

if TYPE_CHECKING:
    from .cursors import Cursor

__all__ = ["Entry", "Exit", "RoomTable", "Seat"]


class Entry(NamedTuple):
    """What came of joining."""

    member: Member
    #: It was not in the room before.
    is_new: bool
    #: Nobody was.
    is_first: bool


class Exit(NamedTuple):
    """What came of leaving."""

    room: str
    member: Member
    receiver: Receiver
    #: Nobody is left.
    is_last: bool
    cursor: Cursor | None = None


class _Place(NamedTuple):
    """Where one receiver is."""

    id: str
    # A dictionary, because it keeps the order of joining.
    rooms: dict[str, None]


class RoomTable:
    """
    Who is in which room.

    Both directions are kept: the members of a room, in the order of coming, and the rooms of a member. A
    room without members and a member without rooms are in neither.
    """

    def __init__(self) -> None:
        # By id(): what a handler class makes of == and hash() must not be called under anybody's lock. A
        # receiver whose id() is here is held by its seats, so that nobody else can have the same.
        self._rooms: dict[str, dict[int, Seat]] = {}
        #: The same as lists, which nobody changes, until somebody comes or goes: who publishes needs one.
        self._lists: dict[str, list[Seat]] = {}
        self._places: dict[int, _Place] = {}

    def join(
        self,
        receiver: Receiver,
        room: str,
        info: Mapping[str, Any] | None,
        limit: int,
        cursor: Cursor | None = None,
    ) -> Entry:
        """
        Put a receiver into a room; one that is there gets other info, unless that is ``None``.

        Raises:
            PolicyViolation: It is in so many rooms already.
        """
        key = id(receiver)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(make_id(), {})
        elif len(place.rooms) >= limit and room not in place.rooms:
            raise PolicyViolation(f"it is in {len(place.rooms)} rooms, and may be in no more")
        seats = self._rooms.get(room)
        is_first = seats is None
        if seats is None:
            seats = self._rooms[room] = {}
        seat = seats.get(key)
        is_new = seat is None
        if seat is None or info is not None:
            # In the place of the one before, which keeps the order.
            if seat is not None:
                cursor = seat.cursor
            elif cursor is not None:
                cursor.member_id = place.id
            seat = seats[key] = Seat(Member(place.id, info or {}, receiver), receiver, cursor)
            self._lists.pop(room, None)
        place.rooms[room] = None
        return Entry(seat.member, is_new, is_first)

    def leave(self, receiver: Receiver, room: str) -> Exit | None:
        """Take a receiver out of a room; ``None`` when it was not there."""
        key = id(receiver)
        seats = self._rooms.get(room)
        seat = None if seats is None else seats.pop(key, None)
        if seats is None or seat is None:
            return None
        self._lists.pop(room, None)
        if not seats:
            del self._rooms[room]
        place = self._places[key]
        del place.rooms[room]
        if not place.rooms:
            del self._places[key]
        return Exit(room, seat.member, receiver, not seats, seat.cursor)

    def leave_all(self, receiver: Receiver) -> list[Exit]:
        """Take a receiver out of all its rooms, in the order of joining."""
        exits = [self.leave(receiver, room) for room in self.rooms_of(receiver)]
        return [exit_ for exit_ in exits if exit_ is not None]

    def seats(self, room: str) -> list[Seat]:
        """Return who is in a room, in the order of coming; not to be changed."""
        listed = self._lists.get(room)
        if not listed:
            seats = self._rooms.get(room)
            if seats is None:
                return []
            # In the books before it is filled: who comes meanwhile, in the handler of a signal, takes it out.
            listed = self._lists[room] = []
            listed += seats.values()
        return listed

    def members(self, room: str) -> list[Member]:
        """Return the same, without who gets the messages."""
        return [seat.member for seat in self.seats(room)]

    def rooms(self) -> list[str]:
        """Return the rooms that have members."""
        return list(self._rooms)

    def rooms_of(self, receiver: object) -> list[str]:
        """Return the rooms that a receiver is in, in the order of joining."""
        place = self._places.get(id(receiver))
        return [] if place is None else list(place.rooms)

    def id_of(self, receiver: object) -> str | None:
        """Return what a receiver's members are called; ``None`` when it is in no room."""
        place = self._places.get(id(receiver))
        return None if place is None else place.id

    def ids(self, exclude: object) -> frozenset[str]:
        """
        Return the ids of those who are excluded; who is in no room has none.

        Raises:
            TypeError: It is nobody who can be.
        """
        # A WebSocket is iterable, too. Whatever else is not is a TypeError below.
        single = isinstance(exclude, str | Member) or hasattr(exclude, "deliver")
        several: Iterable[object] = (exclude,) if single else exclude  # type: ignore[assignment]
        try:
            ids = [self._id(one) for one in several]
        except TypeError:
            raise TypeError(
                f"exclude is a WebSocket, a member, a member's id, or several of these, not {exclude!r}"
            ) from None
        return frozenset(one for one in ids if one is not None)

    def _id(self, one: object) -> str | None:
        if isinstance(one, str):
            return one
        if isinstance(one, Member):
            return one.id
        if hasattr(one, "deliver"):
            return self.id_of(one)
        raise TypeError
