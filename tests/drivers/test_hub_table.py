"""The room table and what a hub tells of it: whatever is done, both agree with a simple model."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.drivers.guests import Guest
from ws4py_middleware.hub import Hub, Member
from ws4py_middleware.hub.fanout import Seat
from ws4py_middleware.hub.table import RoomTable

ROOMS = st.sampled_from(["red", "green", "blue", "grün"])
GUESTS = st.integers(0, 4)
INFO = st.none() | st.fixed_dictionaries({"name": st.text("abc", max_size=3)})


class Rooms(RuleBasedStateMachine):
    """Guests come, go and end in any order; the model has (room, guest, info) in the order of coming."""

    @initialize()
    def begin(self) -> None:
        self.hub = Hub()
        self.guests = [Guest() for _ in range(5)]
        self.model: list[tuple[str, int, dict[str, Any]]] = []
        self.said = 0
        self.ids: dict[int, str] = {}
        #: Who is in which room, by what the callbacks have told alone.
        self.told: list[tuple[str, Any]] = []
        self.hub.on_joined(self.on_joined)
        self.hub.on_left(self.on_left)

    def on_joined(self, room: str, member: Member) -> None:
        assert (room, member.websocket) not in self.told
        self.told.append((room, member.websocket))

    def on_left(self, room: str, member: Member) -> None:
        self.told.remove((room, member.websocket))

    def in_room(self, room: str) -> list[int]:
        return [who for where, who, _ in self.model if where == room]

    @rule(room=ROOMS, who=GUESTS, info=INFO)
    def join(self, room: str, who: int, info: dict[str, Any] | None) -> None:
        guest = self.guests[who]
        member = self.hub.join(guest, room, info)
        assert member.websocket is guest
        if not guest.is_open:
            return
        places = [index for index, entry in enumerate(self.model) if entry[:2] == (room, who)]
        if not places:
            self.model.append((room, who, info or {}))
        elif info is not None:
            self.model[places[0]] = (room, who, info)
        assert self.ids.setdefault(who, member.id) == member.id

    @rule(room=ROOMS, who=GUESTS)
    def leave(self, room: str, who: int) -> None:
        self.hub.leave(self.guests[who], room)
        self.model = [entry for entry in self.model if entry[:2] != (room, who)]

    @rule(who=GUESTS)
    def end(self, who: int) -> None:
        self.guests[who].is_open = False
        self.hub.leave_all(self.guests[who])
        self.model = [entry for entry in self.model if entry[1] != who]

    @rule(who=GUESTS)
    def begin_to_end(self, who: int) -> None:
        self.guests[who].is_open = False

    @rule(who=GUESTS)
    def come_again(self, who: int) -> None:
        self.hub.leave_all(self.guests[who])
        self.model = [entry for entry in self.model if entry[1] != who]
        self.guests[who] = Guest()

    @rule(room=ROOMS, excluded=st.sets(GUESTS), by_id=st.booleans())
    def publish(self, room: str, excluded: set[int], by_id: bool) -> None:
        self.said += 1
        exclude = [self.ids.get(who, "nobody") if by_id else self.guests[who] for who in excluded]
        getting = [w for w in self.in_room(room) if w not in excluded and self.guests[w].is_open]
        assert self.hub.publish(room, str(self.said), exclude) == len(getting)
        for who, guest in enumerate(self.guests):
            assert (guest.heard[-1:] == [b"%d" % self.said]) is (who in getting)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def exclude_a_member(self, data: st.DataObject) -> None:
        room = data.draw(st.sampled_from([entry[0] for entry in self.model]))
        member = data.draw(st.sampled_from(self.hub.members(room)))
        before = len(member.websocket.received)
        self.hub.publish(room, "x", exclude=member)
        assert len(member.websocket.received) == before

    @invariant()
    def both_directions_agree_with_the_model(self) -> None:
        hub = self.hub
        rooms = {room for room, _, _ in self.model}
        assert set(hub.rooms()) == rooms
        for room in rooms:
            seen = [(room, self.guests.index(m.websocket), m.info) for m in hub.members(room)]
            assert seen == [entry for entry in self.model if entry[0] == room]
            assert len({member.id for member in hub.members(room)}) == len(seen)
        for who, guest in enumerate(self.guests):
            assert hub.rooms_of(guest) == [room for room, other, _ in self.model if other == who]
            if not hub.rooms_of(guest):
                self.ids.pop(who, None)
        assert sorted(self.told, key=str) == sorted(
            ((room, self.guests[who]) for room, who, _ in self.model), key=str
        )

    @invariant()
    def nothing_is_kept_of_those_who_have_left(self) -> None:
        here = self.hub._here()
        assert len(here.table._places) == len({who for _, who, _ in self.model})
        assert not here.tellings._calls
        assert not here.errands._calls


TestRooms = Rooms.TestCase


def test_who_joins_while_the_members_are_listed_gets_what_is_published_from_then_on() -> None:
    """The handler of a signal interrupts whoever has the hub's lock, and may join."""
    table, first, second = RoomTable(), Guest(), Guest()

    class Interrupted(dict[int, Seat]):
        def values(self) -> Any:
            seats = list(super().values())
            table.join(second, "red", None, 9)
            return seats

    table.join(first, "red", None, 9)
    table._rooms["red"] = Interrupted(table._rooms["red"])
    assert [seat.receiver for seat in table.seats("red")] == [first]
    assert [seat.receiver for seat in table.seats("red")] == [first, second]
