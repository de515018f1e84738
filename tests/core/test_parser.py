"""core.parser: byte vectors from RFC 6455, fed whole, byte by byte and at random splits."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.core.codec import codec, deflate
from tests.core.parsing import CLIENT, POLICY, SERVER, Events, check, feed_all, get_code, masked
from tests.core.wire import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, build_close, build_frame, cut
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.types import Side

# --- the examples of RFC 6455 section 5.7 ----------------------------------------------


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


# --- the examples of RFC 7692 section 7.2.3 --------------------------------------------


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


# --- messages --------------------------------------------------------------------------


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


# --- control frames --------------------------------------------------------------------


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


@pytest.mark.cpython
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
        parser = Weak(Side.SERVER, Policy(), codec() if extension else None)
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
