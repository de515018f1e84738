"""core.parser: no peer makes it keep more, or work longer, than the policy says."""

from __future__ import annotations

import time

import pytest

from tests.core.codec import codec, deflate
from tests.core.memory import trace_memory, trace_peak
from tests.core.parsing import CLIENT, POLICY, SERVER, KiB, MiB, check, feed_all, get_code, masked
from tests.core.wire import BINARY, CONT, KEY, TEXT, build_frame, build_head, cut
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.types import Side


def test_message_size_is_inclusive() -> None:
    policy = POLICY.replace(max_message_size=10)
    check(masked(TEXT, b"x" * 10), [("text", b"x" * 10)], policy=policy)
    check(masked(TEXT, b"x" * 11), [], 1009, policy=policy)
    split = masked(TEXT, b"x" * 4, fin=False) + masked(CONT, b"x" * 6, fin=False)
    check(split + masked(CONT), [("text", b"x" * 10)], policy=policy)
    check(split + masked(CONT, b"x"), [], 1009, policy=policy)
    check(masked(TEXT, deflate(b"x" * 10), rsv=4), [("text", b"x" * 10)], policy=policy, compressed=True)
    check(masked(TEXT, deflate(b"x" * 11), rsv=4), [], 1009, policy=policy, compressed=True)


def test_compressed_message_size_is_of_all_fragments() -> None:
    policy = POLICY.replace(max_message_size=3000)
    # With the empty block at its end, the first fragment inflates to its half at once.
    half = deflate(b"x" * 1500) + b"\0\0\xff\xff"
    fragments = masked(TEXT, half, fin=False, rsv=4) + masked(CONT, deflate(b"y" * 1500))
    check(fragments, [("text", b"x" * 1500 + b"y" * 1500)], policy=policy, compressed=True)
    check(fragments, [], 1009, policy=policy.replace(max_message_size=2999), compressed=True)


def test_frame_size_has_a_limit_of_its_own() -> None:
    policy = POLICY.replace(max_frame_size=5)
    wire = masked(TEXT, b"12345", fin=False) + masked(CONT, b"67890")
    check(wire, [("text", b"1234567890")], policy=policy)
    check(masked(TEXT, b"123456"), [], 1009, policy=policy)


def test_no_limits_at_all() -> None:
    policy = POLICY.replace(max_message_size=None, max_fragments=None)
    size = 2 * MiB
    wire = build_frame(BINARY, b"x" * size, fin=False) + build_frame(CONT, b"y" * size)
    events = feed_all(Parser(CLIENT, policy), [wire])
    assert events == [("binary", b"x" * size + b"y" * size)]
    compressed = build_frame(BINARY, deflate(b"x" * size), rsv=4)
    assert feed_all(Parser(CLIENT, policy, codec()), [compressed]) == [("binary", b"x" * size)]


@pytest.mark.parametrize(("last", "taken"), [(b"", True), (b"x", False)])
def test_max_fragments_reached_only_an_empty_frame_may_end_the_message(last: bytes, taken: bool) -> None:
    parser = Parser(Side.CLIENT, POLICY.replace(max_fragments=3))
    wire = b"\x02\x01a" + b"\x00\x01b" * 2 + bytes((0x80, len(last))) + last
    events = parser.feed(wire)
    assert [repr(event) for event in events] == (["MessageReceived(b'abb', is_text=False)"] if taken else [])
    assert (parser.error is None) is taken


@pytest.mark.parametrize("size", [MiB + 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_p2_oversize_frame_is_refused_from_its_header(side: Side, size: int) -> None:
    head = build_head(BINARY, size, key=KEY if side is SERVER else None)
    parser = Parser(side, POLICY)
    # Not even the mask key is waited for.
    assert feed_all(parser, cut(head[:10], *range(1, 10))) == []
    assert get_code(parser) == 1009
    check(head + b"x" * 50, [], 1009, side=side)


def test_p2_oversize_continuation_is_refused_from_its_header() -> None:
    parser = Parser(SERVER, POLICY)
    wire = masked(BINARY, b"x" * 1000, fin=False) + build_head(CONT, MiB - 999, key=KEY)
    assert feed_all(parser, [wire[:-4]]) == []
    assert get_code(parser) == 1009


@pytest.mark.cpython
@pytest.mark.parametrize("payload", [b"", b"x"])
@pytest.mark.parametrize("whole", [False, True])
def test_p3_a_million_fragments_are_refused_at_the_4097th(payload: bytes, whole: bool) -> None:
    fragment = masked(CONT, payload, fin=False)
    pieces = [masked(BINARY, payload, fin=False), *[fragment] * 4095]
    turns = [b"".join(pieces)] if whole else pieces
    flood = fragment * 10_000
    parser = Parser(SERVER, POLICY)
    began = time.process_time()
    with trace_memory() as measure:
        assert feed_all(parser, turns) == []
        assert parser.error is None
        assert feed_all(parser, [fragment]) == []
        assert get_code(parser) == 1009
        for _ in range(100):
            feed_all(parser, [flood])
        grown = measure()[1]
    assert get_code(parser) == 1009
    assert grown < MiB
    assert time.process_time() - began < 1.0


def test_p3_the_4096th_fragment_may_be_the_last() -> None:
    fragment = masked(CONT, b"x", fin=False)
    wire = masked(BINARY, b"x", fin=False) + fragment * 4094 + masked(CONT, b"x")
    parser = Parser(SERVER, POLICY)
    assert feed_all(parser, [wire]) == [("binary", b"x" * 4096)]
    assert feed_all(parser, [wire]) == [("binary", b"x" * 4096)]


@pytest.mark.cpython
def test_p3_fragments_of_one_byte_are_folded() -> None:
    """What is kept of a message is its bytes, not an object for each fragment."""
    parser = Parser(SERVER, POLICY)
    fragment = masked(CONT, b"x", fin=False)
    with trace_memory() as measure:
        feed_all(parser, [masked(BINARY, b"x", fin=False), *[fragment] * 4000])
        assert measure()[0] < 16 * KiB


@pytest.mark.cpython
def test_p4_a_bomb_stops_at_the_limit() -> None:
    bomb = build_frame(BINARY, deflate(b"\0" * 64 * MiB), rsv=4)
    assert len(bomb) < 65 * KiB  # a thousand to one
    parser = Parser(CLIENT, POLICY, codec())
    began = time.process_time()
    assert parser.feed(bomb) == []
    assert time.process_time() - began < 0.05
    assert get_code(parser) == 1009
    parser = Parser(CLIENT, POLICY, codec())
    # zlib collects its output in blocks and joins them at the end: twice the limit, and the bytes read.
    assert trace_peak(lambda: parser.feed(bomb)) < 2 * MiB + 6 * len(bomb)


@pytest.mark.cpython
def test_p4_many_small_bombs_in_one_read_come_in_batches() -> None:
    bombs = build_frame(BINARY, deflate(b"\0" * 500 * KiB), rsv=4) * 400
    parser = Parser(CLIENT, POLICY, codec(keep=False))
    messages = 0

    def read() -> None:
        nonlocal messages
        events = parser.feed(bombs)
        while True:
            assert len(events) <= 3
            messages += len(events)
            if not parser.has_more:
                break
            events = parser.feed(b"")

    assert trace_peak(read) < 8 * MiB
    assert messages == 400
