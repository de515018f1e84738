"""Hubs with a backplane: here one in memory, that carries rooms from hub to hub in this process."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.drivers.guests import Guest, hurry
from ws4py_middleware.hub import Backplane, Envelope, Hub, Member

__all__ = ["hurry"]


class Wire:
    """What is between the backplanes: it delivers at once, to all who have subscribed."""

    def __init__(self) -> None:
        self.ends: list[Memory] = []
        self.present: dict[str, dict[str, Mapping[str, Any]]] = {}


class Memory:
    """A backplane; it writes down what it was asked for."""

    def __init__(self, wire: Wire, echoes: bool = False) -> None:
        self.wire = wire
        self.is_echoing = echoes
        self.calls: list[tuple[str, ...]] = []
        self.subscribed: set[str] = set()
        self.error: Exception | None = None
        self.deliver: Callable[[Envelope], object] | None = None
        wire.ends.append(self)

    def start(
        self,
        deliver: Callable[[Envelope], object],
        vanished: Callable[[str, str, Mapping[str, Any]], object],
    ) -> None:
        self.calls.append(("start",))
        self.deliver = deliver

    def echoes(self, room: str) -> bool:
        return self.is_echoing

    def close(self) -> None:
        self.calls.append(("close",))
        self.deliver = None

    def publish(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...] = ()) -> None:
        self.calls.append(("publish", room))
        assert type(payload) is bytes
        if self.error is not None:
            raise self.error
        for end in self.wire.ends:
            if (end is not self or self.is_echoing) and room in end.subscribed and end.deliver is not None:
                end.deliver(Envelope(room, payload, is_text, exclude))

    def subscribe(self, room: str) -> None:
        assert room not in self.subscribed
        self.subscribed.add(room)
        self.calls.append(("subscribe", room))
        if self.error is not None:
            raise self.error

    def unsubscribe(self, room: str) -> None:
        self.subscribed.remove(room)
        self.calls.append(("unsubscribe", room))

    def enter(self, room: str, member_id: str, info: Mapping[str, Any]) -> None:
        assert room in self.subscribed
        self.wire.present.setdefault(room, {})[member_id] = info
        self.calls.append(("enter", room))

    def exit(self, room: str, member_id: str) -> None:
        assert room in self.subscribed
        del self.wire.present[room][member_id]
        self.calls.append(("exit", room))

    def members(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        if self.error is not None:
            raise self.error
        return dict(self.wire.present.get(room, {}))


def pair(echoes: bool = False) -> tuple[Memory, Hub, Memory, Hub]:
    wire = Wire()
    one, other = Memory(wire, echoes), Memory(wire, echoes)
    plane: Backplane = one  # it is one, says mypy
    return one, Hub(plane), other, Hub(other)


def test_backplane_is_told_of_the_first_the_last_and_each_between() -> None:
    memory, hub, _, _ = pair()
    ann, bob = Guest(), Guest()
    assert memory.calls == []
    hub.join(ann, "red", {"name": "Ann"})
    hub.join(ann, "red")
    hub.join(bob, "red")
    hub.join(ann, "red", {"name": "Anna"})
    hub.leave(ann, "red")
    hub.leave_all(bob)
    assert memory.calls == [
        ("start",),
        ("subscribe", "red"),
        ("enter", "red"),
        ("enter", "red"),
        ("enter", "red"),
        ("exit", "red"),
        ("exit", "red"),
        ("unsubscribe", "red"),
    ]


@pytest.mark.parametrize("echoes", [False, True])
def test_published_here_and_there_once_for_each_member(echoes: bool) -> None:
    _, hub, _, other_hub = pair(echoes)
    ann, bob, eve = Guest(), Guest(), Guest()
    member = hub.join(ann, "red")
    hub.join(bob, "red")
    there = other_hub.join(eve, "red")
    assert hub.publish("red", "1") == 2
    assert other_hub.publish("red", b"\xff", exclude=member) == 1
    assert hub.publish("red", "3", exclude=[bob, there.id]) == 1
    assert ann.received == [(b"1", True), (b"3", True)]
    assert bob.received == [(b"1", True), (b"\xff", False)]
    assert eve.received == [(b"1", True), (b"\xff", False)]
    assert hub.publish("nobody", "x") == 0


def test_members_are_those_here_and_those_elsewhere() -> None:
    _, hub, _, other_hub = pair()
    ann, bob = Guest(), Guest()
    there = other_hub.join(bob, "red", {"name": "Bob"})
    here = hub.join(ann, "red", {"name": "Ann"})
    seen = hub.members("red")
    assert [(m.id, m.info, m.websocket) for m in seen] == [
        (here.id, {"name": "Ann"}, ann),
        (there.id, {"name": "Bob"}, None),
    ]
    assert hub.websockets("red") == [ann]


def test_backplane_that_is_away_costs_nobody_here_anything(caplog: pytest.LogCaptureFixture) -> None:
    memory, hub, _, _ = pair()
    told: list[str] = []
    hub.on_joined(lambda room, member: told.append(room))
    memory.error = ConnectionError("it is away")
    ann = Guest()
    with caplog.at_level(logging.ERROR):
        member = hub.join(ann, "red")
        assert hub.members("red") == [member]
    assert "it is away" in caplog.text
    assert told == ["red"]
    with pytest.raises(ConnectionError, match="it is away"):
        hub.publish("red", "x")
    assert ann.heard == [b"x"]
    hub.leave_all(ann)
    assert memory.subscribed == set()


@pytest.mark.usefixtures("hurry")
def test_subscriptions_are_those_of_the_table_whatever_threads_do() -> None:
    memory, hub, _, _ = pair()

    def come_and_go() -> None:
        for _ in range(300):
            guest = Guest()
            hub.join(guest, "red", {})
            hub.leave_all(guest)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    # Memory itself has checked the order, by its asserts; an error would stand in the way of the end.
    assert memory.subscribed == set()
    assert memory.wire.present == {"red": {}}
    kinds = [call[0] for call in memory.calls]
    assert kinds.count("enter") == kinds.count("exit") == 1200
    assert kinds.count("subscribe") == kinds.count("unsubscribe")
    assert kinds.count("start") == 1


def test_closed_hub_begins_anew_when_it_is_used() -> None:
    memory, hub, _, other_hub = pair()
    Hub().close()
    ann, bob = Guest(), Guest()
    hub.join(ann, "red", {"name": "Ann"})
    hub.join(bob, "blue")
    hub.close()
    memory.subscribed.clear()
    memory.wire.present.clear()
    assert memory.calls[-1] == ("close",)
    memory.calls.clear()
    # Who goes while it is closed has nobody to tell; who is here when it begins anew is told of.
    hub.leave_all(bob)
    hub.join(ann, "red")
    hub.publish("red", "x")
    assert memory.calls == [("start",), ("subscribe", "red"), ("enter", "red"), ("publish", "red")]
    assert other_hub.publish("red", "y") == 0
    assert ann.heard == [b"x", b"y"]


def test_handler_of_a_signal_may_use_the_hub_while_its_backplane_starts() -> None:
    """It interrupts the one thread that could let it go on."""
    wire = Wire()
    early = Guest()

    class Interrupted(Memory):
        def start(self, deliver: Callable[[Envelope], object], vanished: Any) -> None:
            super().start(deliver, vanished)
            hub.join(early, "red")
            hub.publish("red", "from the handler")

    hub = Hub(Interrupted(wire))
    joining = threading.Thread(target=hub.join, args=(Guest(), "red"), daemon=True)
    joining.start()
    joining.join(10)
    assert not joining.is_alive()
    assert wire.ends[0].calls.count(("start",)) == wire.ends[0].calls.count(("subscribe", "red")) == 1
    assert early.heard == [b"from the handler"]


def test_forked_child_starts_its_backplane() -> None:
    memory, hub, _, _ = pair()
    hub.join(Guest(), "red")
    child = os.fork()
    if not child:
        try:
            memory.calls.clear()
            memory.subscribed.clear()
            hub.join(Guest(), "red")
            assert memory.calls == [("start",), ("subscribe", "red"), ("enter", "red")]
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_callback_of_the_room_keeps_no_subscription_waiting() -> None:
    memory, hub, _, _ = pair()

    @hub.on_left
    def come_back(room: str, member: Member) -> None:
        guest = Guest()
        other = threading.Thread(target=hub.join, args=(guest, "red"))
        other.start()
        other.join(10)
        assert "red" in memory.subscribed
        hub.remove_callback(come_back)

    ann = Guest()
    hub.join(ann, "red")
    hub.leave(ann, "red")
    assert [call[0] for call in memory.calls].count("subscribe") == 2
