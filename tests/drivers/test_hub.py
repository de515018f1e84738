"""Rooms."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable

import pytest

from tests.drivers.guests import Guest
from tests.drivers.peer import Recorder, wait_until
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.hub import Hub, get_hub, prepare, set_hub
from ws4py_middleware.messaging import BinaryMessage, PingControlMessage, TextMessage

__all__ = ["threads"]


def test_members_get_what_is_published_in_their_rooms() -> None:
    hub = Hub()
    ann, bob = Guest(), Guest()
    hub.join(ann, "red")
    hub.join(bob, "red")
    hub.join(bob, "red")
    hub.join(bob, "blue")
    assert hub.websockets("red") == [ann, bob]
    assert [member.websocket for member in hub.members("red")] == [ann, bob]
    assert hub.rooms() == ["red", "blue"]
    assert hub.publish("red", "hello") == 2
    assert hub.publish("blue", b"\xff") == 1
    assert hub.publish("green", "nobody") == 0
    assert hub.publish("red", "not for me", exclude=bob) == 1
    assert ann.received == [(b"hello", True), (b"not for me", True)]
    assert bob.received == [(b"hello", True), (b"\xff", False)]


def test_leave_and_leave_all_forget_rooms_and_members() -> None:
    hub = Hub()
    ann = Guest()
    hub.leave(ann, "never there")
    for room in ("red", "blue", "green"):
        hub.join(ann, room)
    hub.leave(ann, "red")
    hub.leave(ann, "red")
    assert hub.rooms() == ["blue", "green"]
    hub.leave_all(ann)
    hub.leave_all(ann)
    assert hub.rooms() == []
    assert hub.members("blue") == []
    assert hub.rooms_of(ann) == []
    hub.join(ann, "red")
    hub.leave(ann, "red")
    assert hub.rooms_of(ann) == hub.rooms() == []


def test_member_that_has_ended_does_not_come_in() -> None:
    hub = Hub()
    told: list[str] = []
    hub.on_joined(lambda room, member: told.append(room))
    gone, here = Guest(is_open=False), Guest()
    member = hub.join(gone, "red", {"name": "Ada"})
    assert (member.info, member.websocket) == ({"name": "Ada"}, gone)
    assert hub.rooms() == told == []
    # Who is about to go stays where it is until it goes.
    hub.join(here, "blue")
    here.is_open = False
    hub.join(here, "red")
    assert hub.rooms_of(here) == told == ["blue"]


def test_member_that_drops_a_message_is_not_counted() -> None:
    hub = Hub()
    ann, bob = Guest(), Guest()
    hub.join(ann, "red")
    hub.join(bob, "red")
    bob.is_open = False
    assert hub.publish("red", "x") == 1


@pytest.mark.parametrize(
    ("message", "data", "is_text"),
    [
        ("é", "é".encode(), True),
        (b"x", b"x", False),
        (bytearray(b"x"), b"x", False),
        (memoryview(b"x"), b"x", False),
        (TextMessage("x"), b"x", True),
        (BinaryMessage(b"x"), b"x", False),
    ],
)
def test_prepare_keeps_the_type(message: object, data: bytes, is_text: bool) -> None:
    prepared = prepare(message)
    assert (prepared.data, prepared.is_text) == (data, is_text)


def test_prepare_of_bytes_as_text_is_ws4pys_broadcast() -> None:
    assert prepare(b"x", binary=False).is_text


@pytest.mark.parametrize("message", [None, 17, ["x"], PingControlMessage("x")])
def test_prepare_of_what_is_no_message_raises_typeerror(message: object) -> None:
    with pytest.raises(TypeError, match="a message is"):
        prepare(message)


def test_bytes_that_are_no_text_are_not_broadcast_as_text() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        prepare(b"\xff", binary=False)
    with pytest.raises(ValueError, match="UTF-8"):
        prepare(TextMessage(b"\xff"))


def test_websocket_leaves_its_rooms_when_it_ends(threads: ThreadHost) -> None:
    hub = Hub()

    class Member(Recorder):
        def on_opened(self) -> None:
            self.hub = hub
            self.join("red")
            self.join("blue")
            self.leave("blue")

        def on_closed(self, code: int) -> None:
            assert self not in hub.websockets("red")
            self.join("red")

    members = [Member() for _ in range(3)]
    ends = [threads.connect(member) for member in members]
    wait_until(lambda: len(hub.members("red")) == 3)
    assert hub.publish("red", "hello", exclude=members[0]) == 2
    assert [peer.read() for peer in ends[1:]] == ["hello", "hello"]
    for peer, member in zip(ends, members, strict=True):
        peer.finish()
        threads.wait_closed(member)
    assert hub.rooms() == []
    assert members[0].hub is hub


def test_websockets_share_the_hub_of_the_process() -> None:
    usual = get_hub()
    assert Recorder().hub is usual is get_hub()
    other = Hub()
    set_hub(other)
    try:
        assert Recorder().hub is get_hub() is other
    finally:
        set_hub(usual)


def test_rooms_are_left_in_the_hub_where_they_were_joined(threads: ThreadHost) -> None:
    usual, other = get_hub(), Hub()
    recorder = Recorder()
    peer = threads.connect(recorder)
    wait_until(lambda: recorder.is_open)
    with pytest.raises(RuntimeError, match=r"opened\(\)"):
        Recorder().join("red")
    recorder.hub = usual  # the same as before
    recorder.join("red")
    set_hub(other)
    try:
        assert recorder.hub is usual
        with pytest.raises(RuntimeError, match="another one is set before"):
            recorder.hub = other
        peer.finish()
        threads.wait_closed(recorder)
        assert usual.rooms() == []
        recorder.hub = other
        assert recorder.hub is other
    finally:
        set_hub(usual)


def test_join_and_end_at_once_leaves_nobody_behind(threads: ThreadHost) -> None:
    hub = Hub()
    for _ in range(30):
        recorder = Recorder()
        recorder.hub = hub
        peer = threads.connect(recorder)

        def join(recorder: Recorder = recorder) -> None:
            for number in range(50):
                recorder.join(f"room {number}")

        joining = threads.spawn(join)
        peer.reset()
        joining()
        threads.wait_closed(recorder)
        assert hub.rooms() == []


def test_publish_join_and_leave_from_many_threads() -> None:
    hub = Hub()

    def repeat(function: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            for _ in range(500):
                function()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def come_and_go() -> None:
        guest = Guest()
        hub.join(guest, "red")
        hub.leave_all(guest)

    for thread in [repeat(come_and_go), repeat(come_and_go), repeat(lambda: hub.publish("red", "x"))]:
        thread.join(20)
        assert not thread.is_alive()
    assert hub.rooms() == []


def test_forked_child_has_the_hub_and_none_of_its_parents_members() -> None:
    told: list[str] = []
    hub = Hub()
    hub.on_joined(lambda room, member: told.append(room))
    guest = Guest()
    hub.join(guest, "red")
    get_hub().join(guest, "red")
    with hub._here().lock:  # somebody has it at the very moment
        child = os.fork()
        if not child:
            _end_with(lambda: _check_child(hub, guest, told))
    assert os.waitpid(child, 0)[1] == 0
    assert hub.websockets("red") == get_hub().websockets("red") == [guest]
    get_hub().leave_all(guest)


def _check_child(hub: Hub, guest: Guest, told: list[str]) -> None:
    assert hub.rooms() == get_hub().rooms() == []
    assert hub.publish("red", "x") == 0
    hub.leave_all(guest)
    hub.join(Guest(), "blue")
    assert hub.rooms() == ["blue"]
    assert told == ["red", "blue"]


def _end_with(function: Callable[[], object]) -> None:
    """Call a function in a forked child, and end it: 0 when all went well."""
    try:
        function()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
