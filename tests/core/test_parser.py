"""core.parser: byte vectors from RFC 6455, fed whole, byte by byte and at random splits."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence

import pytest

from tests.core.wire import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    build_close,
    build_frame,
    build_head,
    cut,
    describe,
)
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.types import Side

POLICY = Policy()
CLIENT, SERVER = Side.CLIENT, Side.SERVER
KiB, MiB = 1024, 1024 * 1024

Events = Sequence[tuple[object, ...]]


def make_deflate(keep: bool = True) -> Deflate:
    return Deflate(DeflateOptions(), encoder_bits=15, decoder_bits=15, keep_encoder=keep, keep_decoder=keep)


def deflate(data: bytes) -> bytes:
    """Compress as :rfc:`7692#section-7.2.1` says, with zlib alone."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def feed_all(parser: Parser, pieces: Iterable[bytes]) -> Events:
    """Feed pieces, and go on after each until nothing more is there."""
    events = []
    for piece in pieces:
        events += parser.feed(piece)
        while parser.has_more:
            events += parser.feed(b"")
    return [describe(event) for event in events]


def has_more(parser: Parser) -> bool:
    return parser.has_more


def get_code(parser: Parser) -> int | None:
    return None if parser.error is None else parser.error.close_code


def check(
    wire: bytes,
    expected: Events,
    code: int | None = None,
    *,
    side: Side = SERVER,
    policy: Policy = POLICY,
    compressed: bool = False,
) -> None:
    """Check that bytes give these events and this error: whole, byte by byte, and at random splits."""
    generator = random.Random(len(wire))
    splits = [[wire], cut(wire, *range(1, len(wire)))]
    for _ in range(20):
        count = generator.randint(1, 8)
        splits.append(cut(wire, *(generator.randint(0, len(wire)) for _ in range(count))))
    for small in (policy, policy.replace(turn_frames=1), policy.replace(receive_queue_size=0)):
        for split in splits:
            parser = Parser(side, small, make_deflate() if compressed else None)
            assert feed_all(parser, split) == expected
            assert get_code(parser) == code
            assert not parser.has_more


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    return build_frame(opcode, payload, fin=fin, rsv=rsv, key=KEY)


# --- the examples of RFC 6455 section 5.7 ------------------------------------------------


@pytest.mark.parametrize(
    ("side", "wire", "expected"),
    [
        (CLIENT, "810548656c6c6f", ("text", b"Hello")),
        (SERVER, "818537fa213d7f9f4d5158", ("text", b"Hello")),
        (CLIENT, "010348656c80026c6f", ("text", b"Hello")),
        (CLIENT, "890548656c6c6f", ("ping", b"Hello")),
        (SERVER, "8a8537fa213d7f9f4d5158", ("pong", b"Hello")),
        (CLIENT, "827e0100" + "61" * 256, ("binary", b"a" * 256)),
        (CLIENT, "827f0000000000010000" + "61" * 65536, ("binary", b"a" * 65536)),
    ],
)
def test_examples_of_the_rfc(side: Side, wire: str, expected: tuple[object, ...]) -> None:
    data = bytes.fromhex(wire)
    if len(data) < 1000:
        check(data * 3, [expected] * 3, side=side)
    else:
        for split in ([data], cut(data, 1), cut(data, 5, 9, 10, 11, 3000), cut(data, len(data) - 1)):
            assert feed_all(Parser(side, POLICY), split) == [expected]


# --- the examples of RFC 7692 section 7.2.3 ----------------------------------------------


@pytest.mark.parametrize(
    ("wire", "count"),
    [
        ("c107f248cdc9c90700", 1),  # one compressed block
        ("4103f248cd" + "8004c9c90700", 1),  # in two fragments
        ("c107f248cdc9c90700" + "c105f200110000", 2),  # the second refers to the first
        ("c10b000500faff48656c6c6f00", 1),  # a block without compression
        ("c108f348cdc9c9070000", 1),  # a block with BFINAL
        ("c10df248050000" + "00ffffcac9c90700", 1),  # two blocks in one message
    ],
)
def test_compressed_examples_of_the_rfc(wire: str, count: int) -> None:
    check(bytes.fromhex(wire), [("text", b"Hello")] * count, side=CLIENT, compressed=True)


# --- messages ------------------------------------------------------------------------


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 300])
def test_lengths(side: Side, size: int) -> None:
    payload = bytes(i & 0xFF for i in range(size))
    key = KEY if side is SERVER else None
    wire = build_frame(BINARY, payload, key=key) + build_frame(TEXT, b"", key=key)
    check(wire, [("binary", payload), ("text", b"")], side=side)


@pytest.mark.parametrize("size", [4095, 4096, 65535, 65536, 65537])
def test_masked_lengths_cut_at_every_offset_of_the_key(size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    wire = masked(BINARY, payload)
    for position in (*range(1, 20), size // 2, size // 2 + 1, size // 2 + 2, len(wire) - 1):
        assert feed_all(Parser(SERVER, POLICY), cut(wire, position)) == [("binary", payload)]


def test_fragments_with_control_frames_between() -> None:
    wire = (
        masked(TEXT, b"", fin=False)
        + masked(PING, b"1")
        + masked(CONT, b"Hel", fin=False)
        + masked(PONG, b"2")
        + masked(CONT, b"", fin=False)
        + masked(CONT, b"lo")
        + masked(BINARY, b"next")
    )
    check(wire, [("ping", b"1"), ("pong", b"2"), ("text", b"Hello"), ("binary", b"next")])


def test_text_cut_inside_a_code_point() -> None:
    text = "κόσμε🎈".encode()
    wire = b"".join(masked(TEXT if i == 0 else CONT, text[i : i + 1], fin=False) for i in range(len(text)))
    check(wire + masked(CONT, b""), [("text", text)])


def test_binary_is_not_utf_8() -> None:
    check(masked(BINARY, b"\xff", fin=False) + masked(CONT, b"\xfe"), [("binary", b"\xff\xfe")])


def test_compressed_fragments_with_a_ping_between() -> None:
    """Autobahn 12 and P10: control frames leave the inflater alone."""
    data = "größer ".encode() * 100
    wire = deflate(data)
    third = len(wire) // 3
    frames = (
        masked(TEXT, wire[:third], fin=False, rsv=4)
        + masked(PING, b"x")
        + masked(CONT, b"", fin=False)
        + masked(CONT, wire[third:])
        + masked(BINARY, deflate(b""), rsv=4)
        + masked(TEXT, b"plain")
        + masked(BINARY, b"", rsv=4)
    )
    expected: Events = [("ping", b"x"), ("text", data), ("binary", b""), ("text", b"plain"), ("binary", b"")]
    check(frames, expected, compressed=True)


# --- control frames ------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125])
@pytest.mark.parametrize(("opcode", "name"), [(PING, "ping"), (PONG, "pong")])
def test_control_payloads(opcode: int, name: str, size: int) -> None:
    check(masked(opcode, b"x" * size), [(name, b"x" * size)])


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"", 1005, ""),
        (b"\x03\xe8", 1000, ""),
        (b"\x03\xe9" + "grüße".encode(), 1001, "grüße"),
        (b"\x03\xf6" + b"x" * 123, 1014, "x" * 123),
        (b"\x0b\xb8", 3000, ""),
        (b"\x13\x87", 4999, ""),
    ],
)
def test_close_ends_the_stream(payload: bytes, code: int, reason: str) -> None:
    wire = masked(TEXT, b"a", fin=False) + masked(CLOSE, payload) + masked(TEXT, b"late") + b"\xff\xff\xff"
    check(wire, [("close", code, reason)])


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_close_code_that_may_not_be_sent(code: int) -> None:
    check(masked(TEXT, b"a") + build_close(code, key=KEY), [("text", b"a")], 1002)


def test_close_with_half_a_code() -> None:
    check(masked(CLOSE, b"\x03"), [], 1002)


def test_close_reason_that_is_not_utf_8() -> None:
    check(build_close(1000, b"\xce\xba\xe1", key=KEY), [], 1007)


def test_control_frames_in_a_row() -> None:
    policy = POLICY.replace(max_control_frames=3)
    wire = (
        masked(PING) * 3 + masked(TEXT, b"", fin=False) + masked(PONG) * 3 + masked(CONT) + masked(PING) * 3
    )
    calm: Events = [("ping", b"")] * 3 + [("pong", b"")] * 3 + [("text", b"")] + [("ping", b"")] * 3
    check(wire, calm, policy=policy)
    check(wire + masked(PONG), calm, 1008, policy=policy)
    whole = masked(PING) * 3 + masked(TEXT)
    check(whole * 3, ([("ping", b"")] * 3 + [("text", b"")]) * 3, policy=policy)


def test_close_is_no_flood() -> None:
    policy = POLICY.replace(max_control_frames=1)
    check(masked(PING) + masked(CLOSE), [("ping", b""), ("close", 1005, "")], policy=policy)


def test_control_frames_without_limit() -> None:
    parser = Parser(SERVER, POLICY.replace(max_control_frames=None))
    assert len(feed_all(parser, [masked(PING) * 5000])) == 5000


# --- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("rsv", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_reserved_bits(opcode: int, rsv: int) -> None:
    check(masked(TEXT, b"ok") + masked(opcode, b"", rsv=rsv), [("text", b"ok")], 1002)


@pytest.mark.parametrize("frames", [masked(PING, rsv=4), masked(CLOSE, rsv=4), masked(PONG, rsv=4)])
def test_rsv1_on_control_frames_with_compression(frames: bytes) -> None:
    check(frames, [], 1002, compressed=True)


def test_rsv1_on_a_continuation() -> None:
    wire = masked(TEXT, deflate(b"ab"), fin=False, rsv=4) + masked(CONT, b"", rsv=4)
    check(wire, [], 1002, compressed=True)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF])
def test_reserved_opcodes(opcode: int) -> None:
    check(masked(TEXT, b"ok") + masked(opcode), [("text", b"ok")], 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONT, PING, PONG, CLOSE])
def test_mask_rules(opcode: int) -> None:
    """RFC 6455 section 5.1: a client masks all its frames, a server none."""
    check(build_frame(opcode), [], 1002, side=SERVER)
    check(masked(opcode), [], 1002, side=CLIENT)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frames_are_not_fragmented(opcode: int) -> None:
    check(masked(opcode, fin=False), [], 1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("second", [126, 127])
def test_control_frames_are_short(opcode: int, second: int) -> None:
    check(bytes([0x80 | opcode, 0x80 | second]), [], 1002)


def test_continuation_of_nothing() -> None:
    check(masked(CONT, b"x"), [], 1002)
    check(masked(TEXT, b"a") + masked(CONT, b"x"), [("text", b"a")], 1002)
    check(masked(TEXT, b"a", fin=False) + masked(CONT) + masked(CONT), [("text", b"a")], 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("first", [b"", b"x"])
def test_new_message_inside_a_message(opcode: int, first: bytes) -> None:
    check(masked(TEXT, first, fin=False) + masked(opcode, b"x"), [], 1002)
    check(masked(TEXT, first, fin=False) + masked(opcode, b"x", fin=False), [], 1002)


@pytest.mark.parametrize("head", ["82fe007d", "82fe0000", "82ff000000000000ffff", "82ff0000000000000000"])
def test_length_not_in_its_shortest_form(head: str) -> None:
    check(bytes.fromhex(head) + KEY, [], 1002)


@pytest.mark.parametrize("head", ["82ff8000000000000000", "82ffffffffffffffffff"])
def test_most_significant_bit_of_a_length(head: str) -> None:
    check(bytes.fromhex(head), [], 1002, policy=POLICY.replace(max_message_size=None))


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"truncated \xe2\x82",
    ],
)
def test_text_that_is_not_utf_8(text: bytes) -> None:
    check(masked(TEXT, b"ok") + masked(TEXT, text), [("text", b"ok")], 1007)
    check(masked(TEXT, text[:1], fin=False) + masked(CONT, text[1:]), [], 1007)
    check(masked(TEXT, deflate(text), rsv=4), [], 1007, compressed=True)


def test_invalid_byte_in_the_middle_of_a_long_frame_is_refused_as_soon_as_it_arrives() -> None:
    """The strict reading of Autobahn 6.4."""
    parser = Parser(SERVER, POLICY)
    assert parser.feed(masked(TEXT, b"good" * 100 + b"\xed\xa0" + b"x" * 1000)[: 8 + 401]) == []
    assert parser.error is None
    assert parser.feed(masked(TEXT, b"good" * 100 + b"\xed\xa0" + b"x" * 1000)[8 + 401 : 8 + 402]) == []
    assert get_code(parser) == 1007


@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff\xff", b"\x07", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x17\xff\xff"]
)
def test_payload_that_does_not_inflate(payload: bytes) -> None:
    check(masked(BINARY, payload, rsv=4), [], 1007, compressed=True)


@pytest.mark.parametrize(
    ("wire", "extension"),
    [
        (b"\x82\xff" + (2**63 - 1).to_bytes(8, "big"), False),
        (b"\x81\x84\0\0\0\0abc\xff", False),
        (b"\xc1\x83\0\0\0\0\xff\xff\xff", True),
    ],
)
def test_parser_with_an_error_is_gone_without_the_garbage_collector(wire: bytes, extension: bool) -> None:
    """P19: what a refused peer has sent is not kept by the error that says why."""

    class Weak(Parser):
        pass  # the slots of the parser itself leave no room for a weak reference

    gc.disable()
    try:
        parser = Weak(Side.SERVER, Policy(), make_deflate() if extension else None)
        parser.feed(wire)
        assert parser.error is not None
        alive = weakref.ref(parser)
        del parser
        assert alive() is None
    finally:
        gc.enable()


def test_parser_takes_nothing_after_an_error_or_a_close() -> None:
    parser = Parser(SERVER, POLICY)
    parser.feed(b"\xff\xff")
    error = parser.error
    assert error is not None
    assert parser.feed(masked(TEXT, b"x")) == []
    assert parser.error is error
    parser = Parser(SERVER, POLICY)
    assert len(parser.feed(masked(CLOSE) + masked(TEXT))) == 1
    assert parser.feed(masked(TEXT, b"x")) == []
    assert parser.error is None


# --- limits ----------------------------------------------------------------------------


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
    wire = deflate(b"x" * 1500 + b"y" * 1500)
    fragments = masked(TEXT, wire[:10], fin=False, rsv=4) + masked(CONT, wire[10:])
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
    assert feed_all(Parser(CLIENT, policy, make_deflate()), [compressed]) == [("binary", b"x" * size)]


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


@pytest.mark.parametrize("payload", [b"", b"x"])
@pytest.mark.parametrize("whole", [False, True])
def test_p3_a_million_fragments_are_refused_at_the_4097th(payload: bytes, whole: bool) -> None:
    fragment = masked(CONT, payload, fin=False)
    pieces = [masked(BINARY, payload, fin=False), *[fragment] * 4095]
    turns = [b"".join(pieces)] if whole else pieces
    flood = fragment * 10_000
    parser = Parser(SERVER, POLICY)
    began = time.process_time()
    tracemalloc.start()
    try:
        assert feed_all(parser, turns) == []
        assert parser.error is None
        assert feed_all(parser, [fragment]) == []
        assert get_code(parser) == 1009
        for _ in range(100):
            feed_all(parser, [flood])
        grown = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert get_code(parser) == 1009
    assert grown < MiB
    assert time.process_time() - began < 1.0


def test_p3_the_4096th_fragment_may_be_the_last() -> None:
    fragment = masked(CONT, b"x", fin=False)
    wire = masked(BINARY, b"x", fin=False) + fragment * 4094 + masked(CONT, b"x")
    parser = Parser(SERVER, POLICY)
    assert feed_all(parser, [wire]) == [("binary", b"x" * 4096)]
    assert feed_all(parser, [wire]) == [("binary", b"x" * 4096)]


def test_p3_fragments_of_one_byte_are_folded() -> None:
    """What is kept of a message is its bytes, not an object for each fragment."""
    parser = Parser(SERVER, POLICY)
    fragment = masked(CONT, b"x", fin=False)
    tracemalloc.start()
    try:
        feed_all(parser, [masked(BINARY, b"x", fin=False), *[fragment] * 4000])
        assert tracemalloc.get_traced_memory()[0] < 16 * KiB
    finally:
        tracemalloc.stop()


def trace_peak(call: Callable[[], object]) -> int:
    """Return the most memory that a call holds at once."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_p4_a_bomb_stops_at_the_limit() -> None:
    bomb = build_frame(BINARY, deflate(b"\0" * 64 * MiB), rsv=4)
    assert len(bomb) < 65 * KiB  # a thousand to one
    parser = Parser(CLIENT, POLICY, make_deflate())
    began = time.process_time()
    assert parser.feed(bomb) == []
    assert time.process_time() - began < 0.05
    assert get_code(parser) == 1009
    parser = Parser(CLIENT, POLICY, make_deflate())
    # zlib collects its output in blocks and joins them at the end: twice the limit, and the bytes read.
    assert trace_peak(lambda: parser.feed(bomb)) < 2 * MiB + 6 * len(bomb)


def test_p4_many_small_bombs_in_one_read_come_in_batches() -> None:
    bombs = build_frame(BINARY, deflate(b"\0" * 500 * KiB), rsv=4) * 400
    parser = Parser(CLIENT, POLICY, make_deflate(keep=False))
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


# --- batches ---------------------------------------------------------------------------


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


def test_compressed_message_in_one_frame_is_not_copied_once_it_is_inflated() -> None:
    parser = Parser(CLIENT, POLICY, make_deflate())
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


def test_payloads_do_not_keep_what_was_read_alive() -> None:
    parser = Parser(CLIENT, POLICY)
    tracemalloc.start()
    try:
        kept = [
            parser.feed(build_frame(TEXT, b"x") + build_frame(BINARY, b"y" * 50_000))[0] for _ in range(50)
        ]
        assert tracemalloc.get_traced_memory()[0] < 100 * KiB
        assert len(kept) == 50
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("last", "taken"), [(b"", True), (b"x", False)])
def test_max_fragments_reached_only_an_empty_frame_may_end_the_message(last: bytes, taken: bool) -> None:
    parser = Parser(Side.CLIENT, POLICY.replace(max_fragments=3))
    wire = b"\x02\x01a" + b"\x00\x01b" * 2 + bytes((0x80, len(last))) + last
    events = parser.feed(wire)
    assert [repr(event) for event in events] == (["MessageReceived(b'abb', is_text=False)"] if taken else [])
    assert (parser.error is None) is taken
