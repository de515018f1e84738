"""Rooms with a history: members that publish in their turn, signals, and a system without threads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from tests.drivers.guests import Guest, hurry
from tests.drivers.peer import wait_until
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.locks import Bell, RoomLocks

__all__ = ["hurry"]


class Relay(Guest):
    """Somebody who passes on what comes."""

    def __init__(self, tell: Callable[[bytes], object]) -> None:
        super().__init__()
        self._tell = tell

    def deliver(self, message: PreparedMessage, /) -> bool:
        super().deliver(message)
        self._tell(bytes(message.data))
        return True


class Full(Guest):
    """Somebody who drops each message that is published, and takes it from the history."""

    def deliver(self, message: PreparedMessage, /) -> bool:
        return threading.current_thread().name == "ws4py-hub-history" and super().deliver(message)


def test_members_that_pass_messages_on_between_two_rooms_never_wait_for_each_other(hurry: None) -> None:
    hub = Hub(history=10_000)
    rooms = ("red", "blue")

    def pass_on(room: str) -> Callable[[bytes], object]:
        return lambda text: text.startswith(b"new") and hub.publish(room, "passed on")

    for room, other in (rooms, rooms[::-1]):
        hub.join(Relay(pass_on(other)), room)
    ears = {room: Guest() for room in rooms}
    for room, guest in ears.items():
        hub.join(guest, room)

    def publish(room: str) -> None:
        for number in range(1000):
            hub.publish(room, f"new {number}")

    threads = [threading.Thread(target=publish, args=(room,), daemon=True) for room in rooms * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "two threads wait for each other"
    wait_until(lambda: all(len(guest.received) == 4000 for guest in ears.values()))
    for room in rooms:
        assert [one.data for one in hub.history(room, limit=10_000)] == [
            text.decode() for text in ears[room].heard
        ]


def test_answer_to_a_message_comes_behind_it_for_everybody() -> None:
    hub = Hub(history=100)
    first, last = Guest(), Guest()
    hub.join(first, "red")
    hub.join(Relay(lambda text: text == b"question" and hub.publish("red", "answer")), "red")
    hub.join(last, "red")
    hub.publish("red", "question")
    assert first.heard == last.heard == [b"question", b"answer"]


def test_member_may_leave_and_join_while_it_is_told_something() -> None:
    hub = Hub(history=100)

    def move(text: bytes) -> None:
        if text == b"go":
            hub.leave(relay, "red")
            hub.join(relay, "blue", since=hub.history("blue")[0].id)

    relay = Relay(move)
    hub.publish("blue", "0")
    hub.publish("blue", "1")
    hub.join(relay, "red", since="0")
    wait_until(lambda: hub.publish("red", "go") == 0)
    wait_until(lambda: relay.heard[-1:] == [b"1"])
    assert hub.rooms_of(relay) == ["blue"]


def test_call_that_fails_later_is_logged_and_others_are_made(caplog: pytest.LogCaptureFixture) -> None:
    locks = RoomLocks()
    made: list[int] = []

    def outer() -> str:
        assert locks.is_mine
        assert locks.call("blue", lambda: 1 // 0) is None
        assert locks.call("blue", lambda: made.append(1)) is None
        return "done"

    assert locks.call("red", outer) == "done"
    assert not locks.is_mine
    assert made == [1]
    assert "ZeroDivisionError" in caplog.text


def test_bell_is_heard_once_however_often_it_rang() -> None:
    bell = Bell()
    assert not bell.wait(-1.0)
    bell.ring()
    bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


def test_thread_that_cannot_be_started_is_started_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub(history=100)
    hub.publish("red", "0")
    guest = Guest()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        hub.join(guest, "red", since="0")
        hub.join(Guest(), "red", since="0")
    assert guest.received == []
    assert [record.getMessage() for record in caplog.records] == [
        "members cannot catch up: can't start new thread; it is tried again with the next message"
    ]
    hub.publish("red", "1")
    wait_until(lambda: guest.heard == [b"0", b"1"])


def test_thread_that_ends_leaves_nobody_behind() -> None:
    """Somebody comes just when it has looked whether there is more to do."""
    hub = Hub(history=100)
    hub.publish("red", "0")
    late = Guest()
    joining = threading.Thread(target=hub.join, args=(late, "red"), kwargs={"since": "0"})

    class News(deque[Any]):
        def __bool__(self) -> bool:
            has_some = len(self) > 0
            if sys._getframe(1).f_code.co_name == "_may_end" and not (has_some or joining.ident):
                joining.start()
                joining.join(0.3)
            return has_some

    hub._here().catchup._new = News()
    early = Guest()
    hub.join(early, "red", since="0")
    wait_until(lambda: early.heard == late.heard == [b"0"])
    joining.join()


def test_no_lock_is_held_while_a_thread_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under gevent others have their turn meanwhile, and would be let in: they are of the same thread."""
    hub = Hub(history=100)
    hub.join(Full(), "red", since="0")
    start = threading.Thread.start
    done: list[bool] = []

    def look(thread: threading.Thread) -> None:
        if thread.name == "ws4py-hub-history":
            other = threading.Thread(target=hub.publish, args=("red", "of another thread"))
            start(other)
            other.join(5)
            done.append(not other.is_alive())
        start(thread)

    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "ws4py-hub-history"])
    monkeypatch.setattr(threading.Thread, "start", look)
    hub.publish("red", "0")
    assert done == [True]


SIGNALS = """
import random, signal, sys, threading, time
from ws4py_middleware.hub import Hub
from tests.drivers.test_hub_locks import Full, Guest

hub = Hub(history=10_000)
behind, ear = Full(), Guest()
for guest in (behind, ear):
    hub.join(guest, "red")
hub.publish("red", "0")
hub.leave(behind, "red")
hub.join(behind, "red", since=hub.history("red")[0].id)

def interrupt(*_):
    hub.publish("red", "signal")
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-4))

signal.signal(signal.SIGALRM, interrupt)
interrupt()
end = time.monotonic() + 2
while time.monotonic() < end:
    hub.publish("red", "main")
    while len(behind.received) < len(ear.received) - 2000:
        time.sleep(0.001)
signal.setitimer(signal.ITIMER_REAL, 0)
time.sleep(0.001)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
kept = [one.data.encode() for one in hub.history("red", limit=10_000)]
assert ear.heard[-len(kept):] == kept
end = time.monotonic() + 10
while behind.heard != ear.heard[1:] and time.monotonic() < end:
    time.sleep(0.01)
assert behind.heard == ear.heard[1:], (len(behind.heard), len(ear.heard))
"""


def test_handlers_of_signals_may_publish_wherever_they_interrupt() -> None:
    code = textwrap.dedent(SIGNALS)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
