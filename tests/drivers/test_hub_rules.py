"""What a hub takes and what it refuses: names, what is known of members, who is excluded, callbacks."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from tests.drivers.guests import Guest, hurry
from tests.drivers.peer import wait_until
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.hub import Hub, Member

__all__ = ["hurry"]


class Picky(Guest):
    """Equal to everybody, and of no hash: what a handler class makes of these is its own business."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


class Broken(Guest):
    def deliver(self, message: PreparedMessage, /) -> bool:
        raise ZeroDivisionError("asked for by the test")


@pytest.mark.parametrize("room", ["x", "ü" * 200, "a/b c\n\0", "🍿"])
def test_names_of_rooms_are_any_text(room: str) -> None:
    hub, guest = Hub(), Guest()
    hub.join(guest, room)
    assert hub.publish(room, "x") == 1
    assert hub.rooms() == [room]


@pytest.mark.parametrize(
    ("room", "error", "words"),
    [
        (None, TypeError, "a room is a str, not NoneType"),
        (b"red", TypeError, "not bytes"),
        (7, TypeError, "not int"),
        ("", ValueError, "1 to 200 characters; this has 0"),
        ("x" * 201, ValueError, "this has 201"),
        ("a\ud800", ValueError, "half a surrogate pair at 1"),
    ],
)
def test_what_is_no_name_of_a_room_is_refused(room: Any, error: type[Exception], words: str) -> None:
    hub = Hub()
    with pytest.raises(error, match=words):
        hub.join(Guest(), room)
    with pytest.raises(error, match=words):
        hub.publish(room, "x")
    for ask in (hub.members, hub.websockets):
        with pytest.raises(error, match=words):
            ask(room)
    hub.leave(Guest(), room)
    assert hub.rooms() == []


class Names(dict[str, Any]):
    """A mapping of one's own."""


def test_info_is_a_copy_and_the_same_as_elsewhere() -> None:
    hub, guest = Hub(), Guest()
    info = Names(name="Ädä", roles=("admin", None), age=1.5)
    member = hub.join(guest, "red", info)
    info["name"] = "changed"
    assert member.info == {"name": "Ädä", "roles": ["admin", None], "age": 1.5}
    assert hub.members("red") == [member]
    assert hub.join(guest, "red").info == member.info
    assert hub.join(guest, "red", {}).info == {}
    assert hub.join(guest, "blue").info == {}


LOOP: dict[str, Any] = {}
LOOP["itself"] = LOOP
DEEP: dict[str, Any] = {}
for _ in range(100_000):
    DEEP = {"": DEEP}


@pytest.mark.parametrize(
    ("info", "error", "words"),
    [
        ("Ada", TypeError, "is a mapping, not str"),
        ([("name", "Ada")], TypeError, "not list"),
        ({"name": object()}, TypeError, "has to be JSON"),
        ({("a", "b"): 1}, TypeError, "has to be JSON"),
        ({"at": float("nan")}, ValueError, "has to be JSON"),
        ({"name": "\ud800"}, ValueError, "has to be JSON"),
        (LOOP, ValueError, "has to be JSON"),
        (DEEP, ValueError, "has to be JSON"),
        ({"name": "x" * 1024}, ValueError, "at most 1024 bytes as JSON; this has 1035"),
    ],
    ids=lambda value: "deep" if value is DEEP else None,
)
def test_info_that_is_not_small_json_is_refused(info: Any, error: type[Exception], words: str) -> None:
    hub = Hub()
    with pytest.raises(error, match=words):
        hub.join(Guest(), "red", info)
    assert hub.rooms() == []


def test_members_are_told_apart_by_identity_alone() -> None:
    hub = Hub()
    ann, bob = Picky(), Picky()
    hub.join(ann, "red")
    hub.join(bob, "red")
    assert hub.publish("red", "x", exclude=ann) == 1
    assert ann.heard == []
    hub.leave(ann, "red")
    assert hub.websockets("red")[0] is bob
    assert hub.publish("red", "y") == 1
    assert bob.heard == [b"x", b"y"]


class Slotted:
    __slots__ = ()
    is_open = True

    def deliver(self, message: PreparedMessage, /) -> bool:
        return True


@pytest.mark.cpython
def test_who_keeps_its_own_member_waits_for_no_garbage_collection() -> None:
    hub, told = Hub(), []
    hub.on_left(lambda room, member: told.append(member.websocket is not None))

    class Keeping(Guest):
        me: Member

    guest = Keeping()
    member = guest.me = hub.join(guest, "red")
    alive = weakref.ref(guest)
    gc.disable()
    try:
        del guest
        assert member.websocket is alive() is hub.websockets("red")[0]
        hub.leave_all(hub.websockets("red")[0])
        assert alive() is member.websocket is None
    finally:
        gc.enable()
    assert told == [True]
    slotted = Slotted()
    assert hub.join(slotted, "red").websocket is slotted


class Leaving(Guest):
    """Somebody whose connection begins to end between two looks."""

    looks = 0

    @property
    def is_open(self) -> bool:
        self.looks -= 1
        return self.looks >= 0

    @is_open.setter
    def is_open(self, value: bool) -> None: ...


def test_who_ends_while_joining_is_told_of_twice_and_is_not_there() -> None:
    hub, guest = Hub(), Leaving()
    diary = Diary(hub)
    guest.looks = 1
    hub.join(guest, "red", named("Ann"))
    assert hub.rooms() == []
    assert diary.lines == [("joined", "red", "Ann"), ("left", "red", "Ann")]
    guest.looks = 2
    hub.join(guest, "red", named("Ann"))
    guest.looks = 1
    hub.join(guest, "red", named("Anna"))  # it leaves with all others
    assert hub.rooms() == ["red"]
    assert hub.members("red")[0].info == {"name": "Anna"}


def test_exclude_is_one_or_several_of_any_kind() -> None:
    hub = Hub()
    guests = [Guest() for _ in range(4)]
    members = [hub.join(guest, "red") for guest in guests]
    hub.join(guests[3], "blue")
    assert hub.publish("red", "1", exclude=guests[0]) == 3
    assert hub.publish("red", "2", exclude=members[1]) == 3
    assert hub.publish("red", "3", exclude=members[2].id) == 3
    assert hub.publish("red", "4", exclude=(guests[0], members[1], members[2].id, Guest(), "nobody")) == 1
    assert hub.publish("red", "5", exclude=iter(guests)) == 0
    assert hub.publish("red", "6", exclude=[]) == 4
    assert hub.publish("blue", "7", exclude=members[3]) == 0
    assert [guest.heard for guest in guests] == [
        [b"2", b"3", b"6"],
        [b"1", b"3", b"6"],
        [b"1", b"2", b"6"],
        [b"1", b"2", b"3", b"4", b"6"],
    ]
    for wrong in (7, [None], object()):
        with pytest.raises(TypeError, match="exclude is a WebSocket, a member, a member's id"):
            hub.publish("red", "x", exclude=wrong)


def test_receiver_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    guests = [Guest(), Broken(), Guest()]
    for guest in guests:
        hub.join(guest, "red")
    with caplog.at_level(logging.ERROR):
        assert hub.publish("red", "x") == 2
    assert "could not be delivered" in caplog.text
    assert guests[2].heard == [b"x"]


class Diary:
    """Write down what callbacks tell."""

    def __init__(self, hub: Hub) -> None:
        self.lines: list[tuple[str, str, str]] = []
        hub.on_joined(self.joined)
        hub.on_left(self.left)

    def joined(self, room: str, member: Member) -> None:
        self.lines.append(("joined", room, member.info["name"]))

    def left(self, room: str, member: Member) -> None:
        self.lines.append(("left", room, member.info["name"]))


def named(name: str) -> Mapping[str, str]:
    return {"name": name}


def test_callbacks_tell_who_came_and_went_once_each() -> None:
    hub = Hub()
    diary = Diary(hub)
    ann, bob = Guest(), Guest()
    hub.join(ann, "red", named("Ann"))
    hub.join(ann, "red", named("Anna"))
    hub.join(bob, "red", named("Bob"))
    hub.join(ann, "blue", named("Ann"))
    hub.leave(bob, "red")
    hub.leave(bob, "red")
    hub.leave_all(ann)
    hub.leave_all(ann)
    assert diary.lines == [
        ("joined", "red", "Ann"),
        ("joined", "red", "Bob"),
        ("joined", "blue", "Ann"),
        ("left", "red", "Bob"),
        ("left", "red", "Anna"),
        ("left", "blue", "Ann"),
    ]
    hub.remove_callback(diary.joined)
    hub.remove_callback(diary.left)
    hub.remove_callback(diary.left)
    hub.join(ann, "red", named("Ann"))
    assert len(diary.lines) == 6


def test_member_is_in_the_room_when_it_is_told_of_and_not_afterwards() -> None:
    hub, guest = Hub(), Guest()
    seen: list[int] = []

    @hub.on_joined
    @hub.on_left
    def look(room: str, member: Member) -> None:
        seen.append(len(hub.members(room)))
        hub.publish(room, str(len(seen)))

    hub.join(guest, "red")
    hub.leave(guest, "red")
    assert seen == [1, 0]
    assert guest.heard == [b"1"]


def test_callback_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub, guest = Hub(), Guest()

    @hub.on_joined
    def fail(room: str, member: Member) -> None:
        raise ZeroDivisionError("asked for by the test")

    diary = Diary(hub)
    with caplog.at_level(logging.ERROR):
        hub.join(guest, "red", named("Ann"))
    assert "asked for by the test" in caplog.text
    assert "'red'" in caplog.text
    assert diary.lines == [("joined", "red", "Ann")]
    assert hub.publish("red", "x") == 1


def test_callback_that_ends_the_thread_is_let_through_when_all_are_told() -> None:
    hub, guest = Hub(), Guest()

    @hub.on_left
    def end(room: str, member: Member) -> None:
        raise SystemExit(room)

    diary = Diary(hub)
    for room in ("red", "blue"):
        hub.join(guest, room, named("Ann"))
    with pytest.raises(SystemExit):
        hub.leave_all(guest)
    assert diary.lines[2:] == [("left", "red", "Ann"), ("left", "blue", "Ann")]
    hub.remove_callback(end)
    hub.join(guest, "red", named("Ann"))
    assert len(diary.lines) == 5


def test_callback_may_join_and_leave() -> None:
    hub, guest = Hub(), Guest()
    diary = Diary(hub)

    @hub.on_joined
    def move_on(room: str, member: Member) -> None:
        if room == "entrance":
            hub.join(member.websocket, "hall", member.info)
            hub.leave(member.websocket, room)
            assert diary.lines[-1] == ("joined", "hall", "Ann"), "of one's own room it is told afterwards"

    hub.join(guest, "entrance", named("Ann"))
    assert diary.lines == [
        ("joined", "entrance", "Ann"),
        ("joined", "hall", "Ann"),
        ("left", "entrance", "Ann"),
    ]


def test_callbacks_of_a_room_come_in_order_and_nobody_waits_for_them() -> None:
    hub = Hub()
    entered, go_on = threading.Event(), threading.Event()
    diary = Diary(hub)
    callers: list[str] = []

    @hub.on_joined
    def wait(room: str, member: Member) -> None:
        callers.append(threading.current_thread().name)
        entered.set()
        assert go_on.wait(10)

    ann, bob = Guest(), Guest()
    slow = threading.Thread(target=hub.join, args=(ann, "red", named("Ann")), name="first")
    slow.start()
    assert entered.wait(10)
    # None of these waits for the callback that runs; another room's are called here.
    hub.join(bob, "red", named("Bob"))
    hub.leave(ann, "red")
    assert hub.publish("red", "x") == 1
    assert [line[0] for line in diary.lines] == ["joined"]
    other = threading.Thread(target=hub.join, args=(bob, "blue", named("Bob")), name="second")
    other.start()
    wait_until(lambda: callers == ["first", "second"])
    go_on.set()
    for thread in (slow, other):
        thread.join(10)
        assert not thread.is_alive()
    assert [line for line in diary.lines if line[1] == "red"] == [
        ("joined", "red", "Ann"),
        ("joined", "red", "Bob"),
        ("left", "red", "Ann"),
    ]
    assert callers == ["first", "second", "first"]


class AsyncCallback:
    async def __call__(self, room: str, member: Member) -> None: ...


async def coroutine(room: str, member: Member) -> None: ...


@pytest.mark.parametrize("callback", [coroutine, AsyncCallback(), None, "joined"])
def test_what_cannot_be_called_from_anywhere_is_no_callback(callback: Any) -> None:
    hub = Hub()
    for register in (hub.on_joined, hub.on_left):
        with pytest.raises(TypeError, match="callback"):
            register(callback)


@pytest.mark.usefixtures("hurry")
def test_each_thread_is_heard_by_everybody_in_its_order() -> None:
    hub = Hub()
    guests = [Guest() for _ in range(5)]
    for guest in guests:
        hub.join(guest, "red")

    def speak(name: str) -> None:
        for number in range(200):
            assert hub.publish("red", f"{name} {number}") >= 5

    def come_and_go() -> None:
        for _ in range(200):
            guest = Guest()
            hub.join(guest, "red")
            hub.leave_all(guest)

    threads = [threading.Thread(target=speak, args=(name,)) for name in "abc"]
    threads += [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for guest in guests:
        for name in ("a", "b", "c"):
            said = [heard.decode() for heard in guest.heard if heard.startswith(name.encode())]
            assert said == [f"{name} {number}" for number in range(200)]
