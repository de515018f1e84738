"""core.parser: events come in batches that are bounded in number and in size."""

from __future__ import annotations

import pytest

from tests.core.codec import codec, deflate
from tests.core.memory import trace_memory, trace_peak
from tests.core.parsing import CLIENT, POLICY, SERVER, KiB, MiB, get_code, has_more, masked
from tests.core.wire import BINARY, CONT, PING, TEXT, build_frame, describe
from ws4py_middleware.core.parser import Parser


def test_batch_of_frames_may_be_given_and_counts_every_frame() -> None:
    parser = Parser(SERVER, POLICY)
    wire = masked(PING, b"1") + masked(TEXT, b"a", fin=False) + masked(CONT, b"b") + masked(TEXT, b"c")
    counts = [len(parser.feed(wire, 1))]
    while parser.has_more:
        counts.append(len(parser.feed(b"", 1)))
    assert counts == [1, 0, 1, 1]


def test_batch_that_ends_with_the_bytes_has_no_more() -> None:
    parser = Parser(SERVER, POLICY)
    assert len(parser.feed(masked(TEXT, b"a"), 1)) == 1
    assert not parser.has_more


def test_batch_with_part_of_a_frame_behind_it_goes_on_to_wait_for_the_rest() -> None:
    parser = Parser(SERVER, POLICY)
    wire = masked(TEXT, b"a") + masked(TEXT, b"bcd")
    assert len(parser.feed(wire[:-1], 1)) == 1
    assert has_more(parser)
    assert parser.feed(b"", 1) == []
    assert not has_more(parser)
    assert [describe(event) for event in parser.feed(wire[-1:], 1)] == [("text", b"bcd")]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_batch_with_part_of_a_header_behind_it_does_not_spin(size: int) -> None:
    parser = Parser(SERVER, POLICY)
    assert len(parser.feed(masked(TEXT, b"a") + masked(TEXT, b"")[:size], 1)) == 1
    assert len(parser.feed(b"", 1)) == (size == 6)
    assert not parser.has_more


@pytest.mark.cpython
def test_compressed_message_in_one_frame_is_not_copied_once_it_is_inflated() -> None:
    parser = Parser(CLIENT, POLICY, codec())
    wire = build_frame(BINARY, deflate(b"\0" * MiB), rsv=4)
    assert trace_peak(lambda: parser.feed(wire)) < 2.2 * MiB


def test_bytes_that_come_while_there_is_more_stand_behind_it() -> None:
    parser = Parser(SERVER, POLICY)
    parser.feed(masked(TEXT, b"1") + masked(TEXT, b"2"), 1)
    events = parser.feed(masked(TEXT, b"3"), 5)
    assert [describe(event) for event in events] == [("text", b"2"), ("text", b"3")]


def test_error_behind_a_batch_comes_in_its_turn() -> None:
    parser = Parser(SERVER, POLICY)
    assert len(parser.feed(masked(TEXT, b"1") + masked(TEXT, b"2") + b"\xff\xff", 1)) == 1
    assert parser.error is None
    assert len(parser.feed(b"", 5)) == 1
    assert get_code(parser) == 1002
    assert not parser.has_more


def test_size_of_a_batch_is_bounded() -> None:
    parser = Parser(SERVER, POLICY.replace(receive_queue_size=1000))
    wire = masked(BINARY, b"x" * 400) * 6
    counts = [len(parser.feed(wire))]
    while parser.has_more:
        counts.append(len(parser.feed(b"")))
    assert counts == [2, 2, 2]


def test_size_of_a_batch_counts_messages_of_fragments() -> None:
    parser = Parser(SERVER, POLICY.replace(receive_queue_size=1000))
    wire = (masked(BINARY, b"x" * 400, fin=False) + masked(CONT, b"x" * 400)) * 3
    assert len(parser.feed(wire)) == 2
    assert parser.has_more


@pytest.mark.cpython
def test_payloads_do_not_keep_what_was_read_alive() -> None:
    parser = Parser(CLIENT, POLICY)
    with trace_memory() as measure:
        kept = [
            parser.feed(build_frame(TEXT, b"x") + build_frame(BINARY, b"y" * 50_000))[0] for _ in range(50)
        ]
        assert measure()[0] < 100 * KiB
        assert len(kept) == 50
