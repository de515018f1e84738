"""The outbox: frames in order, and which of them may be forgotten."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.memory import trace_memory
from tests.core.wire import BINARY, KEY, TEXT, build_frame, joined
from ws4py_middleware.core.extensions import get_factories
from ws4py_middleware.core.extensions.base import Extension
from ws4py_middleware.core.outbox import Outbox
from ws4py_middleware.core.packing import take_batch
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Buffer, Opcode

HIGH_WATER = 1000


def make(extension: Extension | None = None) -> Outbox:
    return Outbox(extension, None, HIGH_WATER)


def deflate(*, takeover: bool) -> Extension:
    """The server's codec, which compresses everything."""
    options = DeflateOptions(threshold=0, server_no_context_takeover=not takeover)
    (factory,) = get_factories(Policy(compression=options))
    accepted = factory.accept([])
    assert accepted is not None
    return accepted[0]


def drain(outbox: Outbox) -> bytes:
    data = b""
    while wire := outbox.take():
        data += joined(wire)
        assert outbox.sent(len(joined(wire)))
    assert outbox.queued == 0
    return data


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65535, "817effff"),
        (65536, "817f0000000000010000"),
    ],
)
def test_push_message_of_each_length_has_the_shortest_head(size: int, head: str) -> None:
    outbox = make()
    outbox.push_message(b"x" * size, True)
    assert outbox.queued == outbox.backlog == len(head) // 2 + size
    assert drain(outbox) == bytes.fromhex(head) + b"x" * size


def test_push_message_binary_has_its_opcode() -> None:
    outbox = make()
    outbox.push_message(bytearray(b"\xff"), False)
    assert drain(outbox) == b"\x82\x01\xff"


def test_push_message_of_a_client_is_masked() -> None:
    outbox = Outbox(None, lambda: bytes.fromhex("37fa213d"), HIGH_WATER)
    outbox.push_message(b"Hello", True)
    outbox.push_prepared(PreparedMessage(b"Hello", True))
    # RFC 6455 section 5.7
    assert drain(outbox) == bytes.fromhex("818537fa213d7f9f4d5158") * 2


def test_take_small_frames_are_joined() -> None:
    outbox = make()
    outbox.push_message(b"a", True)
    outbox.push_message(b"b", True)
    assert outbox.take() == b"\x81\x01a\x81\x01b"


def test_take_many_bytes_come_in_pieces_of_whole_frames() -> None:
    outbox = make()
    for _ in range(5):
        outbox.push_message(bytes(50_000), False)
    sizes = []
    while wire := outbox.take():
        sizes.append(len(joined(wire)))
        outbox.sent(sizes[-1])
    assert sizes == [150_012, 100_008]


def test_take_many_small_frames_come_in_pieces_of_whole_frames() -> None:
    outbox = make()
    for _ in range(20):
        outbox.push_message(bytes(10_000), False)
    pieces = []
    while wire := outbox.take():
        assert isinstance(wire, bytes)
        pieces.append(len(wire))
        assert outbox.sent(len(wire))
    assert pieces == [14 * 10_004, 6 * 10_004]


def test_take_a_large_frame_stands_alone() -> None:
    outbox = make()
    outbox.push_message(bytes(200_000), False)
    outbox.push_message(b"b", False)
    assert len(joined(outbox.take())) == 200_010
    assert drain(outbox)[-3:] == b"\x82\x01b"


def test_sent_in_part_the_rest_is_next() -> None:
    outbox = make()
    outbox.push_message(b"abc", True)
    outbox.take()
    assert not outbox.sent(0)
    assert joined(outbox.take()) == b"\x81\x03abc"
    assert not outbox.sent(3)
    outbox.push_message(b"d", True)
    assert joined(outbox.take()) == b"bc"
    assert outbox.queued == 5
    assert drain(outbox) == b"bc\x81\x01d"


@pytest.mark.parametrize("payloads", [[b"ab"], [bytes(20_000)] * 2])
@pytest.mark.parametrize("size", [-1, 1 << 31])
def test_sent_more_than_there_was_is_an_error(payloads: list[bytes], size: int) -> None:
    outbox = make()
    for payload in payloads:
        outbox.push_message(payload, True)
    wire, queued = outbox.take(), outbox.queued
    with pytest.raises(ValueError, match=f"took {size} bytes, of {queued}"):
        outbox.sent(size)
    assert outbox.take() is wire
    assert outbox.queued == queued


def test_push_prepared_of_nothing_is_an_error() -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="not None"):
        make().push_prepared(nothing)


def test_push_pong_below_high_water_each_is_kept() -> None:
    outbox = make()
    outbox.push_pong(b"1")
    outbox.push_pong(b"2")
    assert drain(outbox) == b"\x8a\x011\x8a\x012"


def test_push_pong_above_high_water_the_latest_is_kept_and_goes_first() -> None:
    outbox = make()
    outbox.push_message(bytes(HIGH_WATER), False)
    outbox.take()
    outbox.push_message(b"m", True)
    for number in range(100):
        outbox.push_pong(b"%d" % number)
    assert drain(outbox)[-7:] == b"\x8a\x0299\x81\x01m"


def test_drop_pong_forgets_the_one_that_waits() -> None:
    outbox = make()
    outbox.push_message(bytes(HIGH_WATER), False)
    outbox.push_pong(b"late")
    outbox.drop_pong()
    assert b"late" not in drain(outbox)


def test_push_fragment_messages_wait_and_control_frames_do_not() -> None:
    outbox = make()
    outbox.push_fragment(b"a", True, first=True, fin=False)
    outbox.push_message(b"later", True)
    outbox.push_prepared(PreparedMessage(b"last", False))
    assert outbox.backlog == outbox.queued + 9
    outbox.push_control(Opcode.PING, b"")
    outbox.push_fragment(b"b", True, first=False, fin=True)
    assert drain(outbox) == b"\x01\x01a\x89\x00\x80\x01b\x81\x05later\x82\x04last"


def test_drop_held_forgets_what_waits_for_the_last_fragment() -> None:
    outbox = make()
    outbox.push_fragment(b"a", False, first=True, fin=False)
    outbox.push_message(b"later", True)
    outbox.drop_held()
    assert outbox.backlog == outbox.queued
    assert drain(outbox) == b"\x02\x01a"


def test_push_prepared_is_framed_once() -> None:
    message = PreparedMessage(b"x" * 1000, True)
    first, second = make(), make()
    first.push_prepared(message)
    second.push_prepared(message)
    assert first.take() is second.take()


def test_push_prepared_with_takeover_is_sent_as_it_is() -> None:
    outbox = make(deflate(takeover=True))
    outbox.push_prepared(PreparedMessage(b"x" * 100, True))
    assert drain(outbox) == b"\x81\x64" + b"x" * 100


def test_push_prepared_without_takeover_is_compressed_once() -> None:
    message = PreparedMessage(b"x" * 100, True)
    boxes = [make(deflate(takeover=False)) for _ in range(2)]
    for outbox in boxes:
        outbox.push_prepared(message)
    assert boxes[0].take() is boxes[1].take()
    assert joined(boxes[0].take())[0] == 0xC1


def test_push_message_below_the_threshold_is_sent_as_it_is() -> None:
    (factory,) = get_factories(Policy(compression=True))
    accepted = factory.accept([])
    assert accepted is not None
    outbox = make(accepted[0])
    outbox.push_message(b"short", True)
    assert drain(outbox) == b"\x81\x05short"


def test_push_message_compressed_has_rsv1_on_the_first_frame_only() -> None:
    outbox = make(deflate(takeover=True))
    outbox.push_message(b"x" * 100, False)
    assert outbox.take()[0] == 0xC2
    outbox.sent(len(outbox.take()))
    outbox.push_fragment(b"x" * 100, True, first=True, fin=False)
    assert drain(outbox)[0] == 0x41
    outbox.push_fragment(b"x" * 100, True, first=False, fin=True)
    assert drain(outbox)[0] == 0x80


def test_drop_oldest_takes_whole_messages_that_the_network_has_not_seen() -> None:
    outbox = make()
    outbox.push_message(b"1", True)
    outbox.take()
    outbox.push_control(Opcode.PING, b"")
    outbox.push_fragment(b"f", True, first=True, fin=False)
    outbox.push_fragment(b"f", True, first=False, fin=True)
    outbox.push_message(b"2", True)
    outbox.push_message(b"3", False)
    assert outbox.drop_oldest()
    assert outbox.drop_oldest()
    assert not outbox.drop_oldest()
    assert drain(outbox) == b"\x81\x011\x89\x00\x01\x01f\x80\x01f"


@pytest.mark.parametrize("takeover", [True, False])
def test_drop_oldest_of_compressed_messages_depends_on_their_memory(takeover: bool) -> None:
    outbox = make(deflate(takeover=takeover))
    outbox.push_message(b"x" * 100, True)
    assert outbox.drop_oldest() is not takeover


def test_discard_leaves_what_the_network_has_begun_with() -> None:
    outbox = make()
    outbox.push_message(b"begun", True)
    outbox.take()
    outbox.sent(3)
    for _ in range(HIGH_WATER):
        outbox.push_message(b"x", True)
    outbox.push_pong(b"late")
    outbox.push_fragment(b"f", True, first=True, fin=False)
    outbox.push_message(b"held", True)
    outbox.discard()
    # Three bytes of b"\x81\x05begun" were taken.
    assert drain(outbox) == b"egun"


def test_discard_leaves_a_close_frame() -> None:
    outbox = make()
    outbox.push_message(b"x", True)
    outbox.push_control(8, b"\x03\xe8")
    outbox.discard()
    assert outbox.queued == 4
    assert drain(outbox) == b"\x88\x02\x03\xe8"


def test_clear_leaves_nothing() -> None:
    outbox = make()
    outbox.push_message(b"begun", True)
    outbox.take()
    outbox.push_message(b"more", True)
    outbox.push_control(8, b"")
    outbox.clear()
    assert (outbox.backlog, outbox.take()) == (0, b"")


def test_any_cuts_of_the_network_keep_the_order() -> None:
    outbox = make()
    expected = b""
    for number, cut in zip(range(200), itertools.cycle((1, 7, 300)), strict=False):
        payload = b"%d" % number * (number % 9 + 1)
        outbox.push_message(payload, True)
        expected += b"\x81" + bytes([len(payload)]) + payload
        wire = joined(outbox.take())[:cut]
        assert expected.startswith(wire)
        expected = expected[len(wire) :]
        outbox.sent(len(wire))
    assert drain(outbox) == expected


# --- large payloads, which are not copied -----------------------------------------------

LARGE = 16 * 1024


def lengths(wire: bytes | memoryview | list[Buffer]) -> list[int]:
    return [len(part) for part in wire] if isinstance(wire, list) else [len(wire)]


def test_large_payload_is_given_out_as_it_is_behind_its_head() -> None:
    outbox = make()
    payload = b"x" * LARGE
    outbox.push_message(payload, False)
    wire = outbox.take()
    assert isinstance(wire, list)
    assert wire == [b"\x82\x7e\x40\x00", payload]
    assert wire[1] is payload
    assert outbox.take() is wire
    assert outbox.queued == 4 + LARGE
    assert outbox.sent(4 + LARGE)
    assert (outbox.queued, outbox.take()) == (0, b"")


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_large_payload_that_may_change_is_copied_at_once(kind: type) -> None:
    outbox = make()
    payload = bytearray(b"x" * LARGE)
    outbox.push_message(kind(payload), False)
    payload[:] = b"y" * LARGE
    assert drain(outbox)[4:] == b"x" * LARGE


def test_large_payload_of_a_client_is_masked_into_one_frame() -> None:
    outbox = Outbox(None, lambda: KEY, HIGH_WATER)
    outbox.push_message(b"x" * LARGE, False)
    assert outbox.take() == build_frame(BINARY, b"x" * LARGE, key=KEY)


def test_large_payloads_are_given_out_with_small_frames_around_them() -> None:
    outbox = make()
    outbox.push_message(b"1", True)
    outbox.push_message(b"2", True)
    outbox.push_message(b"x" * LARGE, True)
    outbox.push_message(b"3", True)
    outbox.push_message(b"y" * LARGE, True)
    outbox.push_control(9, b"")
    assert lengths(outbox.take()) == [3 + 3 + 4, LARGE, 3 + 4, LARGE, 2]
    assert outbox.sent(0) is False
    assert outbox.sent(5) is False
    assert lengths(outbox.take()) == [5, LARGE, 7, LARGE, 2]
    assert outbox.sent(5 + LARGE + 6) is False
    assert lengths(outbox.take()) == [1, LARGE, 2]
    assert outbox.sent(1 + LARGE) is False
    assert outbox.take() == b"\x89\x00"
    assert outbox.sent(2)
    assert outbox.queued == 0


def test_large_payloads_leave_in_pieces_of_about_128_kib_and_not_too_many_buffers() -> None:
    outbox = make()
    for _ in range(20):
        outbox.push_message(b"x" * LARGE, True)
    assert lengths(outbox.take()) == [4, LARGE] * 8
    outbox.clear()
    outbox.push_message(b"x" * LARGE, True)
    for _ in range(3):
        outbox.push_message(b"s", True)
    assert lengths(outbox.take()) == [4, LARGE, 9]


def test_large_payload_may_be_dropped_and_discarded() -> None:
    outbox = make()
    outbox.push_message(b"x" * LARGE, True)
    outbox.push_message(b"second", True)
    assert outbox.drop_oldest()
    assert outbox.queued == 8
    assert outbox.take() == b"\x81\x06second"
    outbox.push_message(b"x" * LARGE, True)
    outbox.push_control(8, b"")
    outbox.discard()
    assert outbox.queued == 8 + 2
    assert drain(outbox) == b"\x81\x06second\x88\x00"
    outbox.push_message(b"x" * LARGE, True)
    outbox.discard()
    assert (outbox.queued, outbox.take()) == (0, b"")


def test_large_prepared_message_is_one_payload_for_all() -> None:
    message = PreparedMessage(b"x" * LARGE, True)
    wires = []
    for _ in range(2):
        outbox = make()
        outbox.push_prepared(message)
        wires.append(outbox.take())
    assert wires[0] == wires[1]
    assert wires[0][1] is wires[1][1] is message.data


sizes = st.sampled_from([0, 1, 125, 126, 5000, LARGE - 1, LARGE, LARGE + 1, 70_000, 140_000])


@given(
    st.lists(st.tuples(sizes, st.booleans(), st.integers(0, 3)), min_size=1, max_size=12),
    st.lists(st.sampled_from([0, 1, 3, 4, 5, 130, LARGE, LARGE + 4, 100_000]) | st.integers(0, 150_000)),
)
def test_any_partial_sends_give_exactly_the_bytes(
    messages: list[tuple[int, bool, int]], cuts: list[int]
) -> None:
    outbox = make()
    taken: list[bytes] = []
    expected: list[bytes] = []
    turns = iter([*cuts])

    def write(cut: int | None) -> None:
        wire = outbox.take()
        data = joined(wire)
        assert not isinstance(wire, list) or len(wire) > 1
        count = len(data) if cut is None else min(cut, len(data))
        if data:
            taken.append(data[:count])
            assert outbox.sent(count) == (count == len(data))

    for number, (size, is_text, writes) in enumerate(messages):
        payload = bytes([number]) * size
        outbox.push_message(payload, is_text)
        expected.append(build_frame(TEXT if is_text else BINARY, payload))
        for _ in range(writes):
            write(next(turns, 7))
        assert outbox.queued == sum(map(len, expected)) - sum(map(len, taken))
    while outbox.queued:
        write(next(turns, None))
    assert b"".join(taken) == b"".join(expected)
    assert outbox.bytes_sent == sum(map(len, expected))


@pytest.mark.cpython
def test_message_that_waits_does_not_keep_the_memory_of_what_others_have_sent() -> None:
    busy, slow = make(), make()
    take_batch()  # one that other tests have left
    slow.push_message(b"first", False)
    slow.take()  # which the network does not take
    with trace_memory() as measure:
        for _ in range(120):
            busy.push_message(bytes(1000), False)
        busy.sent(len(busy.take()))
        slow.push_message(b"second", False)
        assert slow.queued < 20
        assert measure()[0] < 64 * 1024
