"""Rooms that keep what was published, in the process."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drivers.guests import Guest, hurry
from tests.drivers.peer import wait_until
from tests.drivers.readers import Client, Reader, check_heard
from tests.drivers.test_hub_backplane import Memory, Wire
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.history import MemoryHistory, is_id
from ws4py_middleware.hub.spans import Span, parse_history, parse_span

__all__ = ["hurry"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def history(span: Callable[[str], Span | None] | Span, size: int = 10**6) -> tuple[MemoryHistory, Clock]:
    clock = Clock()
    return MemoryHistory((lambda _: span) if isinstance(span, Span) else span, size, clock), clock


def add(kept: MemoryHistory, text: str, room: str = "red") -> str:
    """Keep a text; return its id."""
    entry = kept.append(room, text.encode(), True, ())
    assert entry.id is not None
    return entry.id


def texts(kept: MemoryHistory, since: str | None = None, room: str = "red") -> list[str | bytes]:
    return [one.data for one in kept.read_last(room, since, 1000)]


# --- how much is kept ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30 s", 30), ("1.5 sec", 1.5), ("5 min", 300), ("12h", 43200), (" 7 d ", 604800)],
)
def test_history_may_be_a_time(text: str, seconds: float) -> None:
    assert parse_span(text) == Span(seconds=seconds)


@pytest.mark.parametrize("wrong", [0, -1, 10**9, "", "5", "min", "0 s", "5 weeks", "-5 min", "1 minute"])
def test_history_that_makes_no_sense_is_a_value_error(wrong: int | str) -> None:
    with pytest.raises(ValueError, match="history"):
        Hub(history=wrong)


@pytest.mark.parametrize("wrong", [True, 1.5, b"5 min", ["5 min"]])
def test_history_of_another_type_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="history"):
        Hub(history=wrong)  # type: ignore[arg-type]


def test_callable_says_for_each_room_how_much() -> None:
    asked: list[str] = []

    def say(room: str) -> int | str | None:
        asked.append(room)
        return 2 if room == "red" else "5 min" if room == "blue" else None

    span_of = parse_history(say)
    assert [span_of(room) for room in ("red", "blue", "green", "red")] == [
        Span(2),
        Span(seconds=300),
        None,
        Span(2),
    ]
    assert asked == ["red", "blue", "green"]


def test_backplane_that_keeps_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match="keeps no history"):
        Hub(Memory(Wire()), history=5)


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 65, "ü", "1_2", None, 17, "１"])
def test_ids_are_short_and_plain(wrong: object) -> None:
    assert not is_id(wrong)
    assert is_id("0-1.z")


# --- what is kept ---------------------------------------------------------------------------


def test_last_messages_are_kept_and_a_gap_is_known() -> None:
    kept, _ = history(Span(3))
    start = kept.read("red", None, 0).id
    ids = [add(kept, str(number)) for number in range(5)]
    assert texts(kept) == ["2", "3", "4"]
    assert [kept.read("red", since, 9).has_gap for since in (start, *ids)] == [True, True, False] + [
        False
    ] * 3
    assert [entry.payload for entry in kept.read("red", ids[3], 9).entries] == [b"4"]
    page = kept.read("red", ids[1], 2)
    assert (page.id, page.is_end) == (ids[3], False)


def test_messages_that_are_too_old_go() -> None:
    kept, clock = history(Span(seconds=10))
    first = add(kept, "0")
    clock.now += 6
    second = add(kept, "1")
    clock.now += 6
    assert texts(kept) == ["1"]
    assert not kept.read("red", first, 9).has_gap
    clock.now += 6
    assert texts(kept) == []
    assert kept.read("red", first, 9).has_gap
    assert not kept.read("red", second, 9).has_gap


def test_ids_of_another_process_or_of_none_are_a_gap() -> None:
    kept, _ = history(Span(3))
    foreign = add(history(Span(3))[0], "there")
    mine = add(kept, "here")
    too_far = mine.replace("-1", "-99")
    for since in (foreign, too_far, mine + "x", mine.replace("-", "."), "17", "-", mine + "0" * 30):
        page = kept.read("red", since, 9)
        assert page.has_gap
        assert [entry.payload for entry in page.entries] == [b"here"]


def test_room_of_which_nothing_was_said_has_no_gap() -> None:
    kept, _ = history(Span(3))
    add(kept, "elsewhere", room="blue")
    page = kept.read("red", kept.read("red", None, 0).id, 9)
    assert (page.entries, page.has_gap, page.is_end) == ([], False, True)


def test_all_rooms_together_have_a_bound_and_the_oldest_messages_go_first() -> None:
    kept, _ = history(Span(1000), size=20_000)
    first = [add(kept, "x" * 500, room=str(number % 5)) for number in range(100)]
    assert kept.size <= 20_000
    assert 10 < sum(len(texts(kept, room=str(room))) for room in range(5)) < 40
    assert kept.read("4", first[4], 9).has_gap
    assert not kept.read("4", first[-1], 9).has_gap


def test_rooms_that_nobody_uses_any_more_cost_nothing_for_ever() -> None:
    kept, _ = history(Span(1), size=1_000_000)
    start = kept.read("room 0", None, 0).id
    first = add(kept, "hello", room="room 0")
    for number in range(1, 20_000):
        add(kept, "hello", room=f"room {number}")
    assert kept.size <= 1_000_000
    assert len(kept._logs) < 4000
    last = kept.read("unheard of", None, 0).id
    assert kept.read("room 0", first, 9).has_gap
    assert kept.read("room 0", start, 9).has_gap
    assert not kept.read("unheard of", last, 9).has_gap


def test_message_larger_than_the_bound_is_delivered_and_not_kept() -> None:
    hub = Hub(history=10)
    hub.max_history_size = 10_000
    reader = Reader()
    hub.join(reader, "red", envelope=True)
    since = reader.said[0]["id"]
    hub.publish("red", "x" * 20_000)
    assert len(reader.texts) == 1
    late = Reader()
    hub.join(late, "red", since=since, envelope=True)
    wait_until(lambda: len(late.said) == 2)
    assert late.said[0] == {"room": "red", "gap": True}


def test_views_get_what_is_kept() -> None:
    hub = Hub(history=5)
    for message in ("one", b"\xff", "three"):
        hub.publish("red", message)
    kept = hub.history("red")
    assert [one.data for one in kept] == ["one", b"\xff", "three"]
    assert hub.history("red", kept[0].id) == kept[1:]
    assert hub.history("red", limit=1) == kept[2:]
    assert hub.history("red", limit=0) == hub.history("blue") == Hub().history("red") == []


# --- members -----------------------------------------------------------------------------------


def test_member_without_an_envelope_gets_what_it_missed_as_it_was_published() -> None:
    hub = Hub(history=5)
    hub.publish("red", "0")
    since = hub.history("red")[0].id
    hub.publish("red", "1")
    hub.publish("red", b"2")
    guest = Guest()
    hub.join(guest, "red", since=since)
    hub.publish("red", "3")
    wait_until(lambda: len(guest.received) == 3)
    assert guest.received == [(b"1", True), (b"2", False), (b"3", True)]


def test_id_of_a_room_without_a_history_means_nothing() -> None:
    hub = Hub()
    guest = Guest()
    hub.join(guest, "red", since="17-0")
    assert hub.publish("red", "hello") == 1
    assert guest.heard == [b"hello"]


def test_exclusion_holds_for_who_catches_up() -> None:
    hub = Hub(history=5)
    reader = Reader()
    member = hub.join(reader, "blue", envelope=True)
    since = reader.said[0]["id"]
    hub.publish("red", "for all")
    hub.publish("red", "not for you", exclude=member)
    hub.join(reader, "red", since=since, envelope=True)
    wait_until(lambda: len(reader.said) == 3)
    assert reader.texts == ["for all"]
    assert reader.said[2] == {"room": "red", "id": hub.history("red")[1].id}


def test_publishing_counts_who_gets_it() -> None:
    hub = Hub(history=5)
    people = [Guest(), Reader(), Guest(is_open=False)]
    hub.join(people[0], "red")
    hub.join(people[1], "red", envelope=True)
    assert hub.publish("red", "hello") == 2
    assert hub.publish("red", "hello", exclude=people[0]) == 1


def test_who_leaves_while_it_catches_up_gets_no_more() -> None:
    hub = Hub(history=5000)
    for number in range(5000):
        hub.publish("red", str(number))
    since = hub.history("red", limit=5000)[0].id

    class Leaver(Reader):
        def deliver(self, message: object, /) -> bool:
            if len(self.said) == 500:
                threading.Thread(target=hub.leave, args=(self, "red")).start()
            return super().deliver(message)  # type: ignore[arg-type]

    leaver = Leaver()
    hub.join(leaver, "red", since=since, envelope=True)
    wait_until(lambda: hub.rooms() == [])
    hub.publish("red", "more")
    other = Reader()
    hub.join(other, "red", since=since, envelope=True)
    wait_until(lambda: len(other.texts) == 5000)
    assert 500 <= len(leaver.texts) < 5000


def test_a_thousand_members_that_come_back_at_once_are_served_soon() -> None:
    hub = Hub(history=1000)
    for number in range(200):
        hub.publish("red", str(number))
    kept = hub.history("red", limit=1000)
    readers = [Reader() for _ in range(1000)]
    for number, reader in enumerate(readers):
        hub.join(reader, "red", since=kept[number % 3].id, envelope=True)
    wait_until(lambda: all(reader.texts[-1:] == ["199"] for reader in readers))
    assert {len(reader.texts) for reader in readers} == {197, 198, 199}


def test_publishers_in_many_threads_are_heard_in_one_order(hurry: None) -> None:
    hub = Hub(history=100_000)
    readers = [Reader() for _ in range(3)]
    for reader in readers:
        hub.join(reader, "red", envelope=True)
    threads = [
        threading.Thread(target=lambda: [hub.publish("red", str(n)) for n in range(300)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    late = Reader()
    hub.join(late, "red", since=readers[0].said[0]["id"], envelope=True)
    for thread in threads:
        thread.join()
    wait_until(lambda: len(late.texts) == 1200)
    ids = [kept.id for kept in hub.history("red", limit=2000)]
    for reader in (*readers, late):
        assert [one["id"] for one in reader.said if "data" in one] == ids


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.sampled_from([10**6, 3000]))
def test_whatever_happens_clients_hear_all_in_order_or_of_a_gap(seed: int, count: int, size: int) -> None:
    chance = random.Random(seed)
    hub = Hub(history=count)
    hub.max_history_size = size
    clients = [Client("red") for _ in range(3)]
    published = 0
    for _ in range(80):
        client = chance.choice(clients)
        match chance.randrange(6):
            case 0 if client.is_connected:
                client.disconnect()
            case 1 if not client.is_connected:
                client.connect(hub)
            case 2:
                hub.publish(chance.choice(["blue", "green"]), "x" * chance.randrange(500))
            case _:
                hub.publish("red", str(published))
                published += 1
    for client in clients:
        if not client.is_connected:
            client.connect(hub)
    hub.publish("red", str(published))
    for client in clients:
        wait_until(lambda: client.texts[-1:] == [str(published)])  # noqa: B023
        check_heard(client.heard)
