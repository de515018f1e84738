"""Stream: what a peer must not do becomes one error with the right code."""

from __future__ import annotations

import pytest

from tests.faces.streams import KEY, fail, frame, peek, take, text
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_TEXT,
    Frame,
)
from ws4py_middleware.streaming import Stream

# --- what a peer must not do ------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"hello", b""])
@pytest.mark.parametrize("opcode", [OPCODE_TEXT, OPCODE_BINARY, OPCODE_PING, OPCODE_CLOSE])
def test_masking_is_checked_on_both_sides_and_on_empty_payloads_too(opcode: int, body: bytes) -> None:
    # RFC 6455 section 5.1. ws4py looked at the mask only when there was a payload.
    if opcode == OPCODE_CLOSE and body:
        body = b"\x03\xe8"
    s = Stream(expect_masking=True)
    s.parser.send(frame(opcode, body, key=None))
    fail(s, 1002)
    assert (s.pings, s.closing) == ([], None)
    s = Stream(expect_masking=False)
    s.parser.send(frame(opcode, body, key=KEY))
    fail(s, 1002)
    assert (s.pings, s.closing) == ([], None)


def test_expect_masking_may_be_set_before_the_parser_begins() -> None:
    # As ws4py's clients do.
    s = Stream()
    s.always_mask = True
    s.expect_masking = False
    s.parser.send(frame(OPCODE_TEXT, b"hello", key=None))
    assert str(s.message) == "hello"


@pytest.mark.parametrize("first", [OPCODE_TEXT, OPCODE_BINARY])
@pytest.mark.parametrize("second", [OPCODE_TEXT, OPCODE_BINARY])
@pytest.mark.parametrize("body", [b"hello", b""])
def test_messages_cannot_interleave(first: int, second: int, body: bytes) -> None:
    s = Stream()
    s.parser.send(frame(first, body, fin=0))
    assert peek(s) is not None
    s.parser.send(frame(second, b"there"))
    assert s.message is None
    fail(s, 1002)


def test_continuation_without_a_message_is_an_error() -> None:
    s = Stream()
    s.parser.send(frame(OPCODE_CONTINUATION, b"hello"))
    fail(s, 1002)


def test_continuation_of_a_complete_message_is_an_error() -> None:
    s = Stream()
    s.parser.send(text(b"hello") + frame(OPCODE_CONTINUATION, b"more"))
    assert [str(message) for message in take(s)] == ["hello"]
    fail(s, 1002)


@pytest.mark.parametrize(
    "body", [b"h\xc3llo", b"\xc3", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"]
)
def test_text_that_is_not_utf8_is_an_error(body: bytes) -> None:
    s = Stream()
    s.parser.send(text(body))
    fail(s, 1007)
    s = Stream()
    s.parser.send(text(b"hello", fin=0))
    assert peek(s) is not None
    s.parser.send(frame(OPCODE_CONTINUATION, body))
    assert s.message is None
    fail(s, 1007)


def test_text_that_ends_within_a_code_point_is_an_error() -> None:
    # ws4py delivered it when the last fragment was empty.
    s = Stream()
    s.parser.send(text(b"hell\xc3", fin=0))
    assert s.errors == []
    s.parser.send(frame(OPCODE_CONTINUATION, b""))
    fail(s, 1007)


def test_text_is_refused_at_its_first_wrong_byte() -> None:
    s = Stream()
    wire = text(b"ok \xff and much more")
    s.parser.send(wire[: 6 + 3])
    assert s.errors == []
    s.parser.send(wire[6 + 3 : 6 + 4])
    fail(s, 1007)


@pytest.mark.parametrize("name", ["rsv1", "rsv2", "rsv3"])
def test_reserved_bits_are_errors(name: str) -> None:
    f = Frame(OPCODE_TEXT, b"hello", masking_key=KEY, fin=1)
    setattr(f, name, 1)
    s = Stream()
    s.parser.send(f.build())
    fail(s, 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_are_errors(opcode: int) -> None:
    s = Stream()
    s.parser.send(bytes((0x80 | opcode, 0x80)) + KEY)
    fail(s, 1002)


@pytest.mark.parametrize(
    "head", ["81fe0001", "81ff0000000000000001", "81ff8000000000000000", "09 80", "89fe"]
)
def test_bad_heads_are_errors(head: str) -> None:
    s = Stream()
    s.parser.send(bytes.fromhex(head))
    fail(s, 1002)


def test_message_over_the_limit_is_an_error_before_it_is_stored() -> None:
    s = Stream()
    s.parser.send(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + KEY)
    fail(s, 1009)
    s = Stream(policy=Policy(max_message_size=4))
    s.parser.send(text(b"1234") + text(b"12345"))
    assert [str(message) for message in take(s)] == ["1234"]
    fail(s, 1009)
