"""Rooms of WebSockets under each manager: threads, greenlets, an asyncio loop with both kinds of hooks."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.contract import Host
from tests.drivers.greenlets import GreenletHost
from tests.drivers.houses import HOSTS, House, open_host
from tests.drivers.peer import Recorder
from ws4py_middleware.exc import PolicyViolation
from ws4py_middleware.hub import Hub, Member
from ws4py_middleware.websocket import WebSocket


class Registered(House):
    """With a hub that writes down who came and went."""

    def __init__(self, host: Host, kind: type[Recorder]) -> None:
        super().__init__(host, kind, Hub())
        self.told: list[tuple[str, str, WebSocket]] = []
        self.hub.on_joined(lambda room, member: self.note("joined", room, member))
        self.hub.on_left(lambda room, member: self.note("left", room, member))

    def note(self, what: str, room: str, member: Member) -> None:
        self.told.append((what, room, member.websocket))
        member.websocket.seen.append((what, room))

    def visit(self, *rooms: str, **options: Any) -> tuple[Recorder, Any]:
        """Let somebody in; return both ends."""
        recorder = self.kind()
        return recorder, self.enter(recorder, rooms, **options)

    def in_thread(self, function: Callable[[], object]) -> Callable[[], None]:
        """Run a function in a thread beside whatever the manager waits with."""
        host = self.host
        return host.in_thread(function) if isinstance(host, GreenletHost) else host.spawn(function)


@pytest.fixture(params=HOSTS)
def house(request: pytest.FixtureRequest) -> Iterator[Registered]:
    with open_host(request.param) as (host, kind):
        yield Registered(host, kind)


def test_rooms_are_left_between_the_last_message_and_closed(house: Registered) -> None:
    ann, peer = house.visit("red", "blue")
    peer.send("hello")
    peer.finish()
    house.host.wait_closed(ann)
    assert ann.seen == [
        ("opened",),
        ("joined", "red"),
        ("joined", "blue"),
        ("message", "hello"),
        ("left", "red"),
        ("left", "blue"),
        ("closed", 1000, ""),
    ]
    assert house.hub.rooms() == []


def test_who_is_about_to_go_comes_into_no_other_room(house: Registered) -> None:
    ann, peer = house.visit("red")
    ann.close()
    assert peer.read_close()[0] == 1000
    assert ann.join("blue").websocket is ann
    assert house.hub.rooms_of(ann) == ["red"]
    assert house.hub.publish("red", "too late") == 0
    peer.close()
    peer.read_end()
    house.host.wait_closed(ann)
    ann.join("blue")
    assert house.hub.rooms() == []
    assert [line[:2] for line in house.told] == [("joined", "red"), ("left", "red")]


def test_thread_beside_is_heard_in_order_while_others_come_and_go(house: Registered) -> None:
    ann, peer = house.visit("red")

    def speak() -> None:
        for number in range(300):
            assert house.hub.publish("red", str(number)) >= 1

    def crowd() -> None:
        for _ in range(20):
            _, other = house.visit("red")
            other.reset()

    crowded = house.host.spawn(crowd)
    house.host.wait_until(lambda: len(house.told) > 3)
    spoken = house.in_thread(speak)
    try:
        assert [peer.read() for _ in range(300)] == [str(number) for number in range(300)]
    finally:
        crowded()
        spoken()
    house.host.wait_until(lambda: house.hub.websockets("red") == [ann])
    peer.finish()
    house.host.wait_closed(ann)
    comings = [line[2] for line in house.told if line[0] == "joined"]
    goings = [line[2] for line in house.told if line[0] == "left"]
    assert len(comings) == len(goings) == 21
    assert {id(one) for one in comings} == {id(one) for one in goings}


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_whatever_a_callback_raises_at_the_end_closed_is_called_and_the_others_go_on(
    house: Registered, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    @house.hub.on_left
    def fail(room: str, member: Member) -> None:
        raise error("asked for by the test")

    ann, peer = house.visit("red", "blue")
    bob, other = house.visit("red")
    with caplog.at_level(logging.ERROR):
        peer.finish()
        house.host.wait_closed(ann)
    assert "asked for by the test" in caplog.text
    assert ann.seen[-1][0] == "closed"
    assert house.hub.publish("red", "still here") == 1
    assert other.read() == "still here"
    other.finish()
    house.host.wait_closed(bob)
    assert house.hub.rooms() == []


def test_peer_that_asks_for_ever_more_rooms_is_bounded(house: Registered) -> None:
    house.hub.max_rooms = 3
    ann, peer = house.visit("1", "2", "3")
    ann.join("3", {"name": "Ann"})
    with pytest.raises(PolicyViolation, match="in 3 rooms, and may be in no more"):
        ann.join("4")
    ann.leave("1")
    ann.join("4")
    assert house.hub.rooms() == ["2", "3", "4"]
    peer.finish()
    house.host.wait_closed(ann)


def test_who_has_gone_waits_for_no_garbage_collection(house: Registered) -> None:
    ann, peer = house.visit("red")
    ann.me = ann.join("red")  # type: ignore[attr-defined]
    del ann.on_opened
    alive = weakref.ref(ann)
    gc.collect()
    gc.disable()
    try:
        peer.finish()
        house.host.wait_closed(ann)
        house.told.clear()
        del ann
        house.host.wait_until(lambda: alive() is None)
    finally:
        gc.enable()
