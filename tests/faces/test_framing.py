"""Frame: building, and a parser that is a generator; ws4py's counts, the RFC's rules."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware import framing
from ws4py_middleware.exc import FrameTooLargeException, ProtocolException, WebSocketException
from ws4py_middleware.framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    Frame,
)

KEY = bytes.fromhex("37fa213d")
OPCODES = [OPCODE_CONTINUATION, OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG]


def build(body: bytes, key: bytes | None = None, opcode: int = OPCODE_TEXT, fin: int = 1) -> bytes:
    return Frame(opcode=opcode, body=body, masking_key=key, fin=fin).build()


def ask(wire: bytes, sizes: Sequence[int]) -> list[int | None]:
    """Send the wire in pieces of these sizes, the last one again and again; return what was asked for."""
    frame = Frame()
    asked: list[int | None] = []
    turn = 0
    while wire:
        size = sizes[min(turn, len(sizes) - 1)]
        asked.append(frame.parser.send(wire[:size]))
        wire = wire[size:]
        turn += 1
    return asked


# --- the documents that describe ws4py ------------------------------------------------


def test_module_documentation_example() -> None:
    test_mask = bytes.fromhex("be04e66a")
    f = Frame(OPCODE_TEXT, b"hello world", masking_key=test_mask, fin=1)
    wire = f.build()
    assert wire.hex() == "818bbe04e66ad6618a06d1249105cc6882"
    f = Frame()
    assert f.parser.send(wire[0:1]) == 1
    assert f.parser.send(wire[1:2]) == 4


def test_opcodes_are_numbers() -> None:
    assert OPCODES == [0, 1, 2, 8, 9, 10]
    assert all(type(opcode) is int for opcode in OPCODES)
    assert set(framing.__all__) == {"Frame", *(name for name in dir(framing) if name.startswith("OPCODE_"))}


def test_defaults() -> None:
    f = Frame()
    assert (f.opcode, f.body, f.masking_key) == (None, b"", None)
    assert (f.fin, f.rsv1, f.rsv2, f.rsv3, f.payload_length, f.rest) == (0, 0, 0, 0, 0, b"")


# --- building --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (256, "817e0100"),
        (65535, "817effff"),
        (65536, "817f0000000000010000"),
    ],
)
def test_build_has_the_shortest_length(size: int, head: str) -> None:
    body = b"*" * size
    assert build(body) == bytes.fromhex(head) + body
    masked = build(body, KEY)
    assert len(masked) == len(head) // 2 + 4 + size
    assert masked[1] & 0x80
    assert masked[len(head) // 2 :][:4] == KEY


def test_build_is_the_rfcs_examples() -> None:
    # RFC 6455 section 5.7.
    assert build(b"Hello").hex() == "810548656c6c6f"
    assert build(b"Hello", KEY).hex() == "818537fa213d7f9f4d5158"
    assert build(b"Hel", fin=0).hex() == "010348656c"
    assert build(b"lo", opcode=OPCODE_CONTINUATION).hex() == "80026c6f"
    assert build(b"Hello", opcode=OPCODE_PING).hex() == "890548656c6c6f"
    assert build(bytes(256), opcode=OPCODE_BINARY)[:4].hex() == "827e0100"
    assert build(bytes(65536), opcode=OPCODE_BINARY)[:10].hex() == "827f0000000000010000"


@pytest.mark.parametrize("opcode", OPCODES)
def test_build_every_opcode(opcode: int) -> None:
    assert build(b"", opcode=opcode) == bytes((0x80 | opcode, 0))


def test_build_says_what_the_attributes_say() -> None:
    f = Frame(opcode=OPCODE_TEXT, body=b"", fin=1)
    f.rsv1 = f.rsv2 = f.rsv3 = 1
    assert f.build() == b"\xf1\x00"
    f.fin, f.rsv2 = 0, 0
    f.payload_length = 5
    f.masking_key = bytearray(KEY)
    assert f.build() == b"\x51\x85" + KEY


@pytest.mark.parametrize("name", ["fin", "rsv1", "rsv2", "rsv3"])
@pytest.mark.parametrize("value", [2, -1])
def test_build_refuses_what_is_no_bit(name: str, value: int) -> None:
    f = Frame(opcode=OPCODE_TEXT, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bits"):
        f.build()


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 15, 16, -1])
def test_build_refuses_reserved_opcodes(opcode: int) -> None:
    with pytest.raises(ValueError, match="reserved"):
        build(b"", opcode=opcode)


def test_build_refuses_a_missing_opcode() -> None:
    with pytest.raises(ValueError, match="opcode"):
        Frame().build()


@pytest.mark.parametrize("key", [b"abc", b"XXXXXX"])
def test_build_refuses_a_mask_key_of_another_size(key: bytes) -> None:
    with pytest.raises(ValueError, match="four bytes"):
        build(b"hello", key)


def test_build_refuses_a_length_of_more_than_63_bits() -> None:
    f = Frame(opcode=OPCODE_TEXT, body=b"", fin=1)
    f.payload_length = 1 << 63
    with pytest.raises(FrameTooLargeException):
        f.build()


@pytest.mark.parametrize("body", ["étrange", bytearray(b"x"), memoryview(b"x"), None])
def test_body_is_only_bytes(body: Any) -> None:
    with pytest.raises(TypeError, match="bytes"):
        Frame(opcode=OPCODE_TEXT, body=body, fin=1)
    f = Frame(opcode=OPCODE_TEXT)
    f.body = body
    with pytest.raises(TypeError, match="bytes"):
        f.build()


@pytest.mark.parametrize("data", [b"Hello", bytearray(b"Hello"), memoryview(b"Hello")])
def test_mask_and_unmask_are_one(data: bytes | bytearray | memoryview) -> None:
    f = Frame(masking_key=KEY)
    masked = f.mask(data)
    assert type(masked) is bytearray
    assert masked.hex() == "7f9f4d5158"
    assert f.unmask(masked) == b"Hello"
    assert bytes(data) == b"Hello"


@pytest.mark.parametrize("key", [None, b"", b"abc"])
def test_mask_without_key_raises(key: bytes | None) -> None:
    with pytest.raises(ValueError, match="mask key"):
        Frame(masking_key=key).mask(b"Hello")


# --- parsing -----------------------------------------------------------------------------


def test_parser_is_a_generator() -> None:
    f = Frame()
    assert type(f.parser) is types.GeneratorType
    assert f.parser is f.parser
    f.parser.close()
    with pytest.raises(StopIteration):
        next(f.parser)


def test_parser_fills_the_head_as_it_comes() -> None:
    wire = build(b"hello")
    f = Frame()
    assert f.parser.send(wire[0:1]) == 1
    assert (f.fin, f.rsv1, f.rsv2, f.rsv3, f.opcode) == (1, 0, 0, 0, OPCODE_TEXT)
    assert f.parser.send(wire[1:2]) == 5
    assert f.masking_key is None
    assert f.payload_length == 5
    assert f.parser.send(wire[2:]) is None
    assert f.body == b"hello"
    with pytest.raises(StopIteration):
        next(f.parser)


def test_parser_takes_a_frame_at_once() -> None:
    f = Frame()
    assert f.parser.send(build(b"hello")) is None
    with pytest.raises(StopIteration):
        next(f.parser)
    assert f.body == b"hello"
    assert f.rest == b""


@pytest.mark.parametrize(
    ("size", "sizes", "plain", "masked"),
    # What ws4py 0.6.0 asks for when it is sent pieces of these sizes: measured, not read.
    [
        (0, [1], [1, None], [1, 4, 3, 2, 1, None]),
        (0, [2], [None], [4, 2, None]),
        (2, [1], [1, 2, 1, None], [1, 4, 3, 2, 1, 2, 1, None]),
        (2, [2], [2, None], [4, 2, 2, None]),
        (2, [3, 1], [1, None], [3, 2, 1, 2, 1, None]),
        (126, [1, 1, 1, 1, 1000], [1, 2, 1, 126, None], [1, 2, 1, 4, None]),
        (126, [2, 2, 1000], [2, 126, None], [2, 4, None]),
        (126, [2, 8, 4, 1000], [2, 120, 116, None], [2, 124, 120, None]),
        (70000, [2, 8, 4, 70000], [8, 70000, 69996, None], [8, 4, 70000, None]),
        (70000, [3, 1, 4, 100000], [7, 6, 2, None], [7, 6, 2, None]),
    ],
)
def test_parser_asks_as_ws4py_does(
    size: int, sizes: list[int], plain: list[int | None], masked: list[int | None]
) -> None:
    assert ask(build(b"*" * size), sizes) == plain
    assert ask(build(b"*" * size, KEY), sizes) == masked


def test_parser_counts_right_when_a_length_or_key_is_cut() -> None:
    # Where more was sent than asked for, ws4py counted some bytes twice and gave a wrong payload.
    assert ask(build(b"*" * 126), [3, 1, 4, 1000]) == [1, 126, 122, None]
    assert ask(build(b"*" * 126, KEY), [3, 1, 4, 1000]) == [1, 4, 126, None]
    assert ask(build(b"*", KEY), [3, 3, 1]) == [3, 1, None]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 256, 65535, 65536])
@pytest.mark.parametrize("key", [None, KEY])
def test_parser_who_sends_what_is_asked_for_reads_one_frame(size: int, key: bytes | None) -> None:
    body = bytes(range(256)) * 256
    wire = build(body[:size], key) + b"next"
    f = Frame()
    position, wanted = 0, 1
    while wanted:
        position, wanted = position + wanted, f.parser.send(wire[position : position + wanted]) or 0
    assert wire[position:] == b"next"
    assert f.payload_length == size
    assert f.masking_key == key
    assert (f.unmask(f.body) if key else f.body) == body[:size]
    assert f.rest == b""


def test_parser_shows_126_and_127_while_the_length_comes() -> None:
    for body, mark, size in ((b"*" * 256, 126, 2), (b"*" * 65536, 127, 8)):
        wire = build(body)
        f = Frame()
        f.parser.send(wire[:3])
        assert f.payload_length == mark
        f.parser.send(wire[3 : 2 + size])
        assert f.payload_length == len(body)
        f.parser.send(wire[2 + size :])
        assert f.body == body


def test_parser_takes_the_mask_gradually() -> None:
    body = b"*" * 65536
    wire = build(body, KEY)
    f = Frame()
    f.parser.send(wire[:10])
    assert f.masking_key is None
    assert f.payload_length == 65536
    assert f.parser.send(wire[10:12]) == 2
    f.parser.send(wire[12:])
    assert f.body == wire[14:]
    assert f.unmask(f.body) == body


def test_parser_keeps_what_is_beyond_the_frame() -> None:
    f = Frame()
    f.parser.send(b"\x81\x7e\x01\x00" + b"*" * 512)
    assert f.body == b"*" * 256
    assert f.rest == b"*" * 256
    with pytest.raises(StopIteration):
        f.parser.send(b"more")
    assert f.rest == b"*" * 256 + b"more"


@pytest.mark.parametrize("nothing", [b"", None])
def test_parser_given_nothing_asks_again(nothing: bytes | None) -> None:
    f = Frame()
    for piece, wanted in ((b"", 1), (b"\x81", 1), (b"\x85", 4), (KEY, 5)):
        f.parser.send(piece)
        assert f.parser.send(nothing) == wanted


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_parser_takes_every_buffer(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    f = Frame()
    f.parser.send(kind(build(b"hello", KEY)))
    assert type(f.body) is bytes
    assert f.unmask(f.body) == b"hello"


def test_parser_refuses_str() -> None:
    with pytest.raises(TypeError):
        Frame().parser.send("\x81")  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [0xC1, 0xA1, 0x91, 0x40, 0x20, 0x10])
def test_parser_refuses_reserved_bits(first: int) -> None:
    with pytest.raises(ProtocolException, match="reserved bit"):
        Frame().parser.send(bytes((first,)))


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_parser_refuses_reserved_opcodes(opcode: int) -> None:
    with pytest.raises(ProtocolException, match="reserved"):
        Frame().parser.send(bytes((0x80 | opcode,)))


@pytest.mark.parametrize("opcode", [OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG])
def test_parser_refuses_control_frames_that_are_fragments(opcode: int) -> None:
    with pytest.raises(ProtocolException, match="fragmented"):
        Frame().parser.send(bytes((opcode,)))


@pytest.mark.parametrize("opcode", [OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG])
@pytest.mark.parametrize("second", [126, 127, 0x80 | 126])
def test_parser_refuses_large_control_frames(opcode: int, second: int) -> None:
    f = Frame()
    assert f.parser.send(bytes((0x80 | opcode,))) == 1
    with pytest.raises(FrameTooLargeException) as caught:
        f.parser.send(bytes((second,)))
    assert caught.value.close_code == 1002
    with pytest.raises(FrameTooLargeException):
        Frame().parser.send(build(b"*" * 65536, opcode=opcode))


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1])
def test_parser_refuses_lengths_of_64_bits(length: int) -> None:
    with pytest.raises(FrameTooLargeException) as caught:
        Frame().parser.send(b"\x81\x7f" + length.to_bytes(8, "big"))
    assert caught.value.close_code == 1002


@pytest.mark.parametrize(
    "head",
    [
        "817e0000",
        "817e007d",
        "81fe007d",
        "817f0000000000000000",
        "817f000000000000ffff",
        "81ff000000000000007e",
    ],
)
def test_parser_refuses_lengths_that_are_not_minimal(head: str) -> None:
    # RFC 6455 section 5.2: "the minimal number of bytes MUST be used to encode the length". ws4py took them.
    with pytest.raises(ProtocolException, match="shortest"):
        Frame().parser.send(bytes.fromhex(head))


def test_parser_ends_after_an_error() -> None:
    f = Frame()
    with pytest.raises(ProtocolException):
        f.parser.send(b"\x83")
    with pytest.raises(StopIteration):
        f.parser.send(b"\x81")


def test_parser_asks_for_a_large_payload_and_stores_none() -> None:
    f = Frame()
    assert f.parser.send(b"\x82\x7f" + (1 << 40).to_bytes(8, "big")) == 1 << 40
    assert f.body == b""
    f.parser.close()


def test_cleanup_begins_anew() -> None:
    f = Frame()
    f._cleanup()
    parser = f.parser
    f.parser.send(b"\x81")
    f._cleanup()
    with pytest.raises(StopIteration):
        next(parser)
    f.parser.send(build(b"again"))
    assert f.body == b"again"


# --- properties --------------------------------------------------------------------------

frames = st.builds(
    Frame,
    opcode=st.sampled_from([0, 1, 2]),
    body=st.one_of(st.binary(max_size=10), st.binary(min_size=120, max_size=140), st.just(b"x" * 70000)),
    masking_key=st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
    fin=st.sampled_from([0, 1]),
)


def outcome(wire: bytes, cuts: Sequence[int]) -> tuple[object, ...]:
    f = Frame()
    edges = sorted({cut % (len(wire) + 1) for cut in cuts} | {len(wire)})
    start = edge = 0
    try:
        for edge in edges:
            if f.parser.send(wire[start:edge]) is None:
                break
            start = edge
    except WebSocketException as error:
        return type(error), str(error)
    return f.fin, f.opcode, f.payload_length, f.masking_key, f.body, f.rest + wire[edge:]


@given(frames, st.binary(max_size=20), st.lists(st.integers(0, 200_000), max_size=12))
def test_any_split_gives_the_same_frame(frame: Frame, rest: bytes, cuts: list[int]) -> None:
    wire = frame.build() + rest
    assert outcome(wire, cuts) == outcome(wire, [])
    parsed = Frame()
    parsed.parser.send(wire)
    body = parsed.unmask(parsed.body) if parsed.masking_key else parsed.body
    assert (parsed.opcode, parsed.fin, parsed.masking_key, body, parsed.rest) == (
        frame.opcode,
        frame.fin,
        frame.masking_key,
        frame.body,
        rest,
    )


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=8))
def test_any_split_of_garbage_gives_the_same(wire: bytes, cuts: list[int]) -> None:
    assert outcome(wire, cuts) == outcome(wire, [])
