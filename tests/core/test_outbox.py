"""The outbox: frames in order, and which of them may be forgotten."""

from __future__ import annotations

import itertools

import pytest

from ws4py_middleware.core.extensions import get_factories
from ws4py_middleware.core.extensions.base import Extension
from ws4py_middleware.core.outbox import Outbox
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Opcode

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
        data += bytes(wire)
        assert outbox.sent(len(wire))
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
        sizes.append(len(wire))
        outbox.sent(len(wire))
    assert sizes == [150_012, 100_008]


def test_take_a_large_frame_stands_alone() -> None:
    outbox = make()
    outbox.push_message(bytes(200_000), False)
    outbox.push_message(b"b", False)
    assert len(outbox.take()) == 200_010
    assert drain(outbox)[-3:] == b"\x82\x01b"


def test_sent_in_part_the_rest_is_next() -> None:
    outbox = make()
    outbox.push_message(b"abc", True)
    outbox.take()
    assert not outbox.sent(0)
    assert bytes(outbox.take()) == b"\x81\x03abc"
    assert not outbox.sent(3)
    outbox.push_message(b"d", True)
    assert bytes(outbox.take()) == b"bc"
    assert outbox.queued == 5
    assert drain(outbox) == b"bc\x81\x01d"


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
    assert bytes(boxes[0].take())[0] == 0xC1


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
        wire = bytes(outbox.take())[:cut]
        assert expected.startswith(wire)
        expected = expected[len(wire) :]
        outbox.sent(len(wire))
    assert drain(outbox) == expected
