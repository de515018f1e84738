"""Messages as they travel through Redis, and how they wait."""

from __future__ import annotations

import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.hub.backlog import Backlog, Item
from ws4py_middleware.hub.outages import Bell, Complaints, Delays, keep_connected
from ws4py_middleware.hub.parcels import Parcel, pack_parcel, unpack_parcel

ORIGIN = b"\x00\xff8 bytes"
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(
    st.binary(min_size=8, max_size=8),
    st.integers(0, 2**64 - 1),
    st.one_of(st.text().map(lambda text: (text.encode(), True)), st.tuples(st.binary(), st.just(False))),
    st.lists(IDS),
)
def test_what_is_packed_is_unpacked(
    origin: bytes, number: int, message: tuple[bytes, bool], exclude: list[str]
) -> None:
    parcel = Parcel(origin, number, *message, tuple(exclude))
    assert unpack_parcel(pack_parcel(parcel), None) == parcel


def test_layout() -> None:
    wire = pack_parcel(Parcel(ORIGIN, 258, b"\xff", False, ("ab", "é", "", "\ud800", "x" * 256)))
    assert (
        wire
        == b"\x01\x02" + ORIGIN + b"\0\0\0\0\0\0\x01\x02" + b"\0\x02" + b"\x02ab" + b"\x02\xc3\xa9" + b"\xff"
    )


def test_too_many_excluded_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 65535"):
        pack_parcel(Parcel(ORIGIN, 1, b"", True, ("x",) * 65_536))


GOOD = pack_parcel(Parcel(ORIGIN, 1, b"hello", True, ("ab",)))


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"hello",
        GOOD[:19],
        b"\x00" + GOOD[1:],
        b"\x02" + GOOD[1:],
        GOOD[:1] + b"\x00" + GOOD[2:],
        GOOD[:1] + b"\x03" + GOOD[2:],
        GOOD[:18] + b"\xff\xff" + GOOD[20:],
        GOOD[:20] + b"\x00" + GOOD[21:],
        GOOD[:20] + b"\x20" + GOOD[21:],
        GOOD[:21] + b"\xff\xff" + GOOD[23:],
        GOOD + b"\xff",
        GOOD + b"more",
        pickle.dumps({"method": "emit"}),
        b'{"event": "x"}',
    ],
)
def test_what_is_no_parcel_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_parcel(wire, 8)


@given(st.binary(max_size=60))
def test_unpacking_raises_nothing_but_valueerror(wire: bytes) -> None:
    for start in (b"", b"\x01\x01", GOOD[:18], GOOD[:20]):
        try:
            unpack_parcel(start + wire, 30)
        except ValueError:
            pass


# --- the backlog ---------------------------------------------------------------------------


def items(count: int, size: int = 1) -> list[Item]:
    return [Item(b"channel", bytes(size)) for _ in range(count)]


def test_backlog_drops_what_has_waited_longest() -> None:
    backlog = Backlog(3, 1000)
    some = items(5)
    for item in some:
        backlog.add(item)
    assert [item.fate for item in some] == [False, False, None, None, None]
    assert (len(backlog), backlog.size, backlog.dropped) == (3, 3, 2)
    assert backlog.take(2, 1000) == some[2:4]


def test_backlog_is_bounded_in_bytes_but_takes_one_of_any_size() -> None:
    backlog = Backlog(100, 10)
    large, small = items(1, 50)[0], items(1, 4)[0]
    backlog.add(large)
    assert backlog.take(5, 5) == [large]
    backlog.put_back()
    backlog.add(small)
    assert (large.fate, backlog.size, backlog.dropped) == (False, 4, 1)


def test_backlog_counts_what_is_being_sent_and_drops_none_of_it() -> None:
    backlog = Backlog(2, 1000)
    first, second, third, fourth = items(4)
    backlog.add(first)
    backlog.add(second)
    assert backlog.take(9, 1000) == [first, second]
    backlog.add(third)
    assert third.fate is False
    backlog.put_back()
    backlog.add(fourth)
    assert (first.fate, backlog.dropped) == (False, 2)
    assert backlog.take(9, 1000) == [second, fourth]
    backlog.settle([True, False])
    assert (second.fate, fourth.fate, len(backlog), backlog.size) == (True, False, 0, 0)


def test_backlog_gives_back_only_what_waits() -> None:
    backlog = Backlog(5, 1000)
    first, second, third = items(3)
    for item in (first, second, third):
        backlog.add(item)
    backlog.take(1, 1000)
    assert not backlog.remove(first)
    assert backlog.remove(second)
    backlog.clear()
    assert (len(backlog), backlog.size, backlog.dropped) == (0, 0, 2)
    assert [item.fate for item in (first, second, third)] == [False] * 3
    backlog.settle([True])  # the answer came too late
    assert first.fate is False


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "settle", "back"]), st.integers(0, 8))))
def test_backlog_stays_within_its_bounds_and_in_order(steps: list[tuple[str, int]]) -> None:
    backlog = Backlog(4, 16)
    added: list[Item] = []
    sent: list[Item] = []
    taken: list[Item] = []
    for step, size in steps:
        if step == "add":
            added += items(1, size)
            backlog.add(added[-1])
        elif step == "take" and not taken:
            taken = backlog.take(size, 8)
        elif step == "settle":
            backlog.settle([True] * len(taken))
            sent, taken = sent + taken, []
        elif step == "back":
            backlog.put_back()
            taken = []
        assert len(backlog) <= 4
        assert backlog.size <= 16
    assert sent == [item for item in added if item.fate]
    assert backlog.dropped == sum(item.fate is False for item in added)
    assert len(backlog) == sum(item.fate is None for item in added)


# --- outages -------------------------------------------------------------------------------


def test_delays_are_short_for_a_minute_and_then_grow() -> None:
    delays = Delays()
    first = [delays.next(now) for now in (0.0, 1.0, 2.0, 3.0, 59.0)]
    for delay, most in zip(first, (0.1, 0.2, 0.4, 0.4, 0.4), strict=True):
        assert most / 2 <= delay <= most
    later = [delays.next(60.0 + now) for now in range(10)]
    assert 0.4 <= later[0] <= 0.8
    assert all(5.0 <= delay <= 10.0 for delay in later[5:])
    delays.reset()
    assert delays.next(100.0) <= 0.1


def test_complaints_of_a_kind_come_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("ws4py_middleware"))
    for _ in range(3):
        complaints.tell("one", "it is %d", 1)
        complaints.tell("two", "it is %d", 2)
    assert caplog.messages == ["it is 1", "it is 2"]
    complaints.EVERY = 0.0  # a minute later
    complaints.tell("one", "it is %d", 1)
    assert caplog.messages[2:] == ["it is 1 (and 2 times since this was last said)"]


def test_keeping_connected_survives_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[Exception | None] = [OSError("gone"), ZeroDivisionError("a bug"), ConnectionError(), None]
    told: list[str] = []

    def serve(is_back: object) -> None:
        end = ends.pop(0)
        if end is not None:
            raise end

    keep_connected(serve, told.append, lambda delay: 0 < delay <= 0.4)
    assert told == ["gone", "ZeroDivisionError('a bug')", "ConnectionError"]
    assert "a bug" in caplog.text
    ends = [OSError("gone"), None]
    keep_connected(serve, told.append, lambda delay: False)
    assert len(ends) == 1


def test_bell_wakes_only_those_who_wait() -> None:
    bell = Bell()
    bell.ring()
    bell.wait(0.0)
