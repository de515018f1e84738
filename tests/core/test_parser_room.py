"""core.parser: what a long payload lacks may be read to where it belongs, with the same events."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.codec import codec, deflate
from tests.core.memory import trace_memory
from tests.core.parsing import CLIENT, POLICY, SERVER, KiB, MiB, feed_all, get_code, masked
from tests.core.wire import BINARY, CONT, KEY, PING, TEXT, build_frame, describe
from ws4py_middleware.core.counts import Counts
from ws4py_middleware.core.parser import Parser

NOISE = random.Random(6).randbytes(100 * KiB)
LONG_TEXT = ("Grüße, 世界! " * 4000).encode()


def read(parser: Parser, wire: bytes, sizes: list[int]) -> list[tuple[object, ...]]:
    """Give the parser a stream as a driver does: into its room, if it has some."""
    events = []
    position = 0
    turn = 0
    while position < len(wire) and parser.error is None:
        size = sizes[turn % len(sizes)]
        turn += 1
        room = parser.get_room(size)
        if room is None:
            events += parser.feed(wire[position : position + size])
            position += size
        else:
            with room:
                assert 0 < len(room) <= size
                data = wire[position : position + len(room)]
                room[: len(data)] = data
            events += parser.room_filled(len(data))
            position += len(data)
        while parser.has_more:
            events += parser.feed(b"")
    return [describe(event) for event in events]


def wires(side_is_server: bool) -> bytes:
    key = KEY if side_is_server else None
    return b"".join(
        build_frame(opcode, payload, fin=fin, key=key, rsv=rsv)
        for opcode, payload, fin, rsv in (
            (BINARY, NOISE, True, 0),
            (TEXT, LONG_TEXT[:40_001], False, 0),
            (PING, b"in between", True, 0),
            (CONT, LONG_TEXT[40_001:], True, 0),
            (BINARY, deflate(NOISE), True, 4),
            (TEXT, LONG_TEXT, True, 0),
            (TEXT, b"short", True, 0),
        )
    )


@pytest.mark.parametrize("side", [SERVER, CLIENT])
@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 150_000), min_size=1, max_size=5).filter(lambda sizes: max(sizes) > 2000)
)
def test_any_way_of_reading_gives_the_same_events(side: object, sizes: list[int]) -> None:
    wire = wires(side is SERVER)
    end = SERVER if side is SERVER else CLIENT
    expected = feed_all(Parser(end, POLICY, codec()), [wire])
    parser = Parser(end, POLICY, codec())
    assert read(parser, wire, sizes) == expected
    assert len(expected) == 6
    whole = Parser(end, POLICY, codec())
    whole.feed(wire)
    assert (parser.bytes_received, parser.messages) == (len(wire), 5)
    counts, wholes = Counts(), Counts()
    parser.count_into(counts)
    whole.count_into(wholes)
    assert counts == wholes
    assert counts.packed_received


def test_room_is_there_only_while_much_of_a_payload_is_missing() -> None:
    parser = Parser(SERVER, POLICY)
    assert parser.get_room(KiB) is None
    wire = masked(BINARY, NOISE)
    parser.feed(wire[:5])
    assert parser.get_room(KiB) is None
    parser.feed(wire[5:100])
    room = parser.get_room(KiB)
    assert room is not None
    room.release()
    parser.feed(wire[100 : len(wire) - 10_000])
    assert parser.get_room(KiB) is None
    assert len(parser.feed(wire[len(wire) - 10_000 :])) == 1
    assert parser.get_room(KiB) is None


def test_room_that_was_not_given_cannot_be_filled() -> None:
    parser = Parser(SERVER, POLICY)
    with pytest.raises(ValueError, match="there was no room to be filled"):
        parser.room_filled(1)
    parser.feed(masked(BINARY, NOISE)[:100])
    with pytest.raises(ValueError, match="1 bytes have come, into room for 0"):
        parser.room_filled(1)
    assert parser.error is None


def test_text_is_refused_in_the_room_at_its_first_wrong_byte() -> None:
    parser = Parser(SERVER, POLICY)
    parser.feed(masked(TEXT, b"a" * 50_000)[:100])
    room = parser.get_room(10)
    assert room is not None
    with room:
        room[:2] = b"\xff\xff"
    assert parser.room_filled(2) == []
    assert get_code(parser) == 1007
    assert parser.get_room(10) is None


@pytest.mark.cpython
def test_room_takes_no_more_memory_than_twice_what_has_come() -> None:
    policy = POLICY.replace(max_message_size=None)
    with trace_memory() as measure:
        parser = Parser(SERVER, policy)
        parser.feed(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + KEY + b"Hello")
        assert measure()[0] < 70 * KiB
        come = 5
        while come < MiB:
            room = parser.get_room(8 * KiB)
            assert room is not None
            size = len(room)
            room.release()
            parser.room_filled(size)
            come += size
            assert measure()[0] <= 2 * come + 68 * KiB
    assert parser.error is None
