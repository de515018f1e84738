"""Stream: ws4py's attributes over the one parser, strict where ws4py was not."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware import streaming
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import StreamClosed
from ws4py_middleware.framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    Frame,
)
from ws4py_middleware.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ws4py_middleware.streaming import Stream

KEY = bytes.fromhex("37fa213d")


def frame(opcode: int, body: bytes = b"", fin: int = 1, key: bytes | None = KEY) -> bytes:
    return Frame(opcode, body, masking_key=key, fin=fin).build()


def text(body: bytes, fin: int = 1) -> bytes:
    return frame(OPCODE_TEXT, body, fin)


def close(payload: bytes) -> bytes:
    return frame(OPCODE_CLOSE, payload)


def peek(stream: Stream) -> Message | None:
    """Look at the message; what mypy has concluded about the attribute before does not hold any more."""
    return stream.message


def take(stream: Stream) -> list[Message]:
    """Take the messages as an owner does."""
    messages = []
    while stream.has_message:
        message = stream.message
        assert message is not None
        messages.append(message)
        stream.message = None
    return messages


def fail(stream: Stream, code: int) -> CloseControlMessage:
    """Check that the stream holds exactly one error, and goes on without one more."""
    assert stream.parser.send(text(b"late")) == 1
    assert next(stream.parser) == 1
    (error,) = stream.errors
    assert type(error) is CloseControlMessage
    assert error.code == code
    assert error.reason
    assert not stream.has_message
    return error


# --- the documents that describe ws4py --------------------------------------------------


def test_module_documentation_example() -> None:
    wire = text(b"hello")
    s = Stream()
    s.parser.send(wire[:4])
    assert [s.has_messages] == [False]
    s.parser.send(wire[4:])
    assert [s.has_messages] == [True]
    assert repr(s.message).startswith("<TextMessage ")


def test_attributes_of_a_new_stream() -> None:
    s = Stream()
    assert s.message is None
    assert s.has_message is False
    assert (s.pings, s.pongs, s.errors, s.closing) == ([], [], [], None)
    assert (s.always_mask, s.expect_masking) == (False, True)
    s = Stream(True, False)
    assert (s.always_mask, s.expect_masking) == (True, False)


def test_parser_is_a_generator() -> None:
    s = Stream()
    assert type(s.parser) is types.GeneratorType
    assert s.parser is s.parser
    assert type(s.receiver()) is types.GeneratorType


def test_valid_closing_codes() -> None:
    # ws4py's list, and 1012 to 1014 of the IANA registry.
    assert [1000, 1001, 1002, 1003, *range(1007, 1015)] == streaming.VALID_CLOSING_CODES


# --- messages ------------------------------------------------------------------------------


def test_text_message() -> None:
    s = Stream()
    s.parser.send(text("étrange".encode()))
    assert s.has_message
    assert type(s.message) is TextMessage
    assert s.message.completed is True
    assert str(s.message) == "étrange"


def test_binary_message() -> None:
    s = Stream()
    s.parser.send(frame(OPCODE_BINARY, b"\xff\x00"))
    assert s.has_message
    assert type(s.message) is BinaryMessage
    assert s.message.completed is True
    assert s.message.data == b"\xff\x00"


@pytest.mark.parametrize("opcode", [OPCODE_TEXT, OPCODE_BINARY])
def test_empty_message(opcode: int) -> None:
    s = Stream()
    s.parser.send(frame(opcode))
    assert s.has_message
    assert s.message is not None
    assert s.message.data == b""


def test_message_byte_by_byte() -> None:
    s = Stream()
    for byte in text(b"hello there"):
        assert s.has_message is False
        assert s.message is None
        s.parser.send(bytes((byte,)))
    assert s.has_message is True


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_parser_takes_every_buffer(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    s = Stream()
    s.parser.send(kind(text(b"hello")))
    assert str(s.message) == "hello"


@pytest.mark.parametrize(("opcode", "kind"), [(OPCODE_TEXT, TextMessage), (OPCODE_BINARY, BinaryMessage)])
def test_fragments_are_seen_as_they_come(opcode: int, kind: type[Message]) -> None:
    s = Stream()
    s.parser.send(frame(opcode, b"one", fin=0))
    first = s.message
    assert type(first) is kind
    assert (first.completed, first.opcode, first.data) == (False, opcode, b"one")
    for number in range(3):
        s.parser.send(frame(OPCODE_CONTINUATION, b" more", fin=0))
        assert s.has_message is False
        assert s.message is first
        assert (first.completed, first.data) == (False, b"one" + b" more" * (number + 1))
        s.parser.send(frame(OPCODE_PING, b"ping me"))
        assert len(s.pings) == number + 1
    s.parser.send(frame(OPCODE_CONTINUATION, b" last", fin=1))
    assert s.has_message is True
    assert s.message is first
    assert (first.completed, first.data) == (True, b"one more more more last")
    assert take(s) == [first]
    assert s.message is None


def test_fragments_that_nobody_looks_at() -> None:
    s = Stream()
    s.parser.send(text("é".encode()[:1], fin=0))
    assert s.has_message is False
    s.parser.send(frame(OPCODE_CONTINUATION, "é".encode()[1:]))
    assert [str(message) for message in take(s)] == ["é"]


def test_fragment_is_seen_when_the_first_frame_is_whole() -> None:
    s = Stream()
    wire = text(b"one", fin=0)
    s.parser.send(wire[:-1])
    assert peek(s) is None
    s.parser.send(wire[-1:])
    assert s.message is not None
    wire = frame(OPCODE_CONTINUATION, b"two")
    s.parser.send(wire[:-1])
    assert s.message.data == b"onetw"
    s.parser.send(wire[-1:])
    assert s.message.data == b"onetwo"


def test_empty_first_fragment_begins_a_message() -> None:
    # ws4py took a message that was still empty for none at all.
    s = Stream()
    s.parser.send(text(b"", fin=0))
    assert s.message is not None
    assert s.message.completed is False
    s.parser.send(frame(OPCODE_CONTINUATION, b"hi", fin=1))
    assert [str(message) for message in take(s)] == ["hi"]


# --- the one slot ---------------------------------------------------------------------------


def test_frames_sent_at_once_are_all_seen() -> None:
    # ws4py's generators dropped what was behind the first frame.
    s = Stream()
    s.parser.send(
        text(b"one")
        + frame(OPCODE_PING, b"?")
        + text(b"two")
        + frame(OPCODE_PONG, b"!")
        + frame(OPCODE_BINARY, b"3")
    )
    assert [message.data for message in take(s)] == [b"one", b"two", b"3"]
    assert [ping.data for ping in s.pings] == [b"?"]
    assert [pong.data for pong in s.pongs] == [b"!"]


def test_messages_wait_for_their_turn() -> None:
    s = Stream()
    for number in range(3):
        s.parser.send(text(b"%d" % number))
        assert str(s.message) == "0"
    s.parser.send(text(b"3", fin=0))
    assert [str(message) for message in take(s)] == ["0", "1", "2"]
    assert s.message is not None
    assert (str(s.message), s.message.completed) == ("3", False)


def test_more_frames_than_one_turn_of_the_parser() -> None:
    s = Stream(policy=Policy(turn_frames=4))
    s.parser.send(b"".join(text(b"%d" % number) for number in range(50)))
    assert [str(message) for message in take(s)] == [str(number) for number in range(50)]


def test_message_none_does_not_drop_a_message_in_the_making() -> None:
    s = Stream()
    s.parser.send(text(b"one", fin=0))
    assert s.message is not None
    s.message = None
    message = peek(s)
    assert message is not None
    assert message.data == b"one"
    s.parser.send(frame(OPCODE_CONTINUATION, b" two"))
    assert [str(message) for message in take(s)] == ["one two"]


def test_message_can_be_replaced() -> None:
    s = Stream()
    s.parser.send(text(b"one") + text(b"two"))
    mine = TextMessage("mine")
    s.message = mine
    assert s.message is mine
    assert s.has_message is False
    mine.completed = True
    assert take(s)[0] is mine


# --- control frames ---------------------------------------------------------------------------


def test_ping_and_pong() -> None:
    s = Stream()
    s.parser.send(frame(OPCODE_PING, b"ping me"))
    s.parser.send(frame(OPCODE_PONG, b"pong!"))
    assert [type(ping) for ping in s.pings] == [PingControlMessage]
    assert [type(pong) for pong in s.pongs] == [PongControlMessage]
    assert s.pings[0].data == b"ping me"
    assert s.pongs[0].data == b"pong!"
    assert not s.has_message


def test_pings_that_are_answered_never_add_up() -> None:
    s = Stream(policy=Policy(max_control_frames=10))
    for _ in range(100):
        s.parser.send(frame(OPCODE_PING) * 5)
        assert len(s.pings) == 5
        s.pings = []
    assert s.errors == []


def test_pings_that_nobody_takes_do() -> None:
    s = Stream(policy=Policy(max_control_frames=10))
    for _ in range(100):
        s.parser.send(frame(OPCODE_PING) * 5)
    assert len(s.pings) == 10
    fail(s, 1008)


def test_close() -> None:
    s = Stream()
    s.parser.send(close(b"\x03\xe8hello"))
    assert type(s.closing) is CloseControlMessage
    assert s.closing.code == 1000
    assert s.closing.reason == b"hello"
    assert s.errors == []


def test_close_without_code_is_1005_and_answered_without() -> None:
    s = Stream()
    s.parser.send(close(b""))
    assert type(s.closing) is CloseControlMessage
    assert s.closing.code == 1005
    assert s.closing.reason == b""
    assert s.close(s.closing.code, s.closing.reason).single() == b"\x88\x00"


@pytest.mark.parametrize("code", [*streaming.VALID_CLOSING_CODES, 3000, 3999, 4000, 4999])
def test_close_with_valid_code(code: int) -> None:
    s = Stream()
    s.parser.send(close(code.to_bytes(2, "big")))
    assert s.closing is not None
    assert s.closing.code == code


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1500, 2999, 5000, 25199, 65535])
def test_close_with_invalid_code_is_an_error(code: int) -> None:
    # ws4py reported 1005 and sent that back; RFC 6455 section 7.4.1 forbids both codes on the wire.
    s = Stream()
    s.parser.send(close(code.to_bytes(2, "big") + b"hello"))
    assert s.closing is None
    fail(s, 1002)


def test_close_of_one_byte_is_an_error() -> None:
    # RFC 6455 section 5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer".
    s = Stream()
    s.parser.send(close(b"*"))
    assert s.closing is None
    fail(s, 1002)


@pytest.mark.parametrize("reason", [b"h\xc3llo", b"\xc3", b"\xed\xa0\x80"])
def test_close_with_a_reason_that_is_not_utf8_is_an_error(reason: bytes) -> None:
    s = Stream()
    s.parser.send(close(b"\x03\xe8" + reason))
    assert s.closing is None
    fail(s, 1007)


def test_close_that_is_too_large_is_an_error() -> None:
    s = Stream()
    s.parser.send(close(b"\x03\xe8" + b"*" * 330))
    assert s.closing is None
    fail(s, 1002)


def test_nothing_is_taken_after_close() -> None:
    s = Stream()
    s.parser.send(text(b"before") + close(b"\x03\xe8") + text(b"after") + b"\xff")
    assert s.parser.send(text(b"later")) == 1
    assert [str(message) for message in take(s)] == ["before"]
    assert s.errors == []


def test_close_within_a_message_drops_what_there_was() -> None:
    s = Stream()
    s.parser.send(text(b"half", fin=0))
    assert peek(s) is not None
    s.parser.send(close(b"\x03\xe8"))
    assert s.message is None
    assert s.closing is not None


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


# --- how much the parser asks for -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "sizes", "plain", "masked"),
    # What ws4py 0.6.0 asks for when it is sent pieces of these sizes: measured, not read.
    [
        (0, [1], [1, 1], [1, 4, 3, 2, 1, 1]),
        (0, [2], [1], [4, 2, 1]),
        (2, [1], [1, 2, 1, 1], [1, 4, 3, 2, 1, 2, 1, 1]),
        (2, [2], [2, 1], [4, 2, 2, 1]),
        (2, [3, 1], [1, 1], [3, 2, 1, 2, 1, 1]),
        (126, [2, 2, 1000], [2, 126, 1], [2, 4, 1]),
        (126, [2, 8, 4, 1000], [2, 120, 116, 1], [2, 124, 120, 1]),
        (70000, [2, 8, 4, 70000], [8, 70000, 69996, 1], [8, 4, 70000, 1]),
        (70000, [3, 1, 4, 100000], [7, 6, 2, 1], [7, 6, 2, 1]),
    ],
)
def test_parser_asks_as_ws4py_does(size: int, sizes: list[int], plain: list[int], masked: list[int]) -> None:
    opcodes = [OPCODE_BINARY, OPCODE_PING] if size <= 125 else [OPCODE_BINARY]
    for opcode, (key, expected) in product(opcodes, [(None, plain), (KEY, masked)]):
        s = Stream(expect_masking=key is not None)
        assert next(s.parser) == 1
        wire = frame(opcode, b"*" * size, key=key)
        asked = []
        turn = 0
        while wire:
            piece = sizes[min(turn, len(sizes) - 1)]
            asked.append(s.parser.send(wire[:piece]))
            wire = wire[piece:]
            turn += 1
        assert asked == expected


def test_parser_given_nothing_asks_again() -> None:
    s = Stream()
    wire = text(b"hello")
    for piece, wanted in ((b"", 1), (wire[:1], 1), (wire[1:2], 4), (wire[2:6], 5), (wire[6:], 1)):
        assert s.parser.send(piece) == wanted
        assert next(s.parser) == wanted
        assert s.parser.send(b"") == wanted


def test_parser_asks_for_what_is_left_of_the_last_of_many() -> None:
    s = Stream()
    assert s.parser.send(text(b"one") + text(b"hello")[:-3]) == 3
    assert s.parser.send(b"") == 3


# --- what it builds ---------------------------------------------------------------------------------


def test_helpers_make_messages() -> None:
    s = Stream()
    for message in (s.text_message("hello there!"), s.text_message(b"hello there!")):
        assert type(message) is TextMessage
        assert message.data == b"hello there!"
        assert len(message) == 12
    binary = s.binary_message(b"\xff" * 16)
    assert type(binary) is BinaryMessage
    assert binary.data == b"\xff" * 16


def test_helpers_build_pings_and_pongs() -> None:
    s = Stream()
    assert s.ping("sos") == b"\x89\x03sos"
    assert s.pong("sos") == b"\x8a\x03sos"
    assert s.ping() == b"\x89\x00"
    assert s.pong() == b"\x8a\x00"
    masking = Stream(always_mask=True)
    for wire, first in ((masking.ping("sos"), 0x89), (masking.pong(b"sos"), 0x8A)):
        f = Frame()
        f.parser.send(wire)
        assert (wire[0], len(wire)) == (first, 9)
        assert f.unmask(f.body) == b"sos"


def test_close_helper_is_a_message() -> None:
    message = Stream().close(1001, "bye")
    assert type(message) is CloseControlMessage
    assert (message.code, message.reason) == (1001, b"bye")
    assert Stream().close().single() == b"\x88\x02\x03\xe8"


# --- the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["parser", "cleanup"])
def test_closed_stream_holds_nothing_and_takes_no_more(how: str) -> None:
    s = Stream()
    s.parser.send(text(b"one") + frame(OPCODE_PING) + frame(OPCODE_PONG) + text(b"half", fin=0))
    parser = s.parser
    if how == "parser":
        s.parser.close()
    else:
        s._cleanup()
    assert s.message is None
    assert (s.pings, s.pongs, s.errors, s.closing) == ([], [], [], None)
    with pytest.raises(StopIteration):
        parser.send(text(b"more"))
    with pytest.raises(StreamClosed):
        s.parser.send(text(b"more"))
    s._cleanup()


def test_cleanup_of_an_unused_stream() -> None:
    s = Stream()
    s._cleanup()
    with pytest.raises(StreamClosed):
        next(s.parser)


def test_forgotten_stream_is_collected() -> None:
    s = Stream()
    s.parser.send(text(b"half", fin=0))
    gone = weakref.ref(s)
    del s
    gc.collect()
    assert gone() is None


# --- properties ------------------------------------------------------------------------------------------

Outcome = tuple[object, ...]


def outcome(wire: bytes, cuts: Sequence[int], expect_masking: bool = True, look: bool = False) -> Outcome:
    s = Stream(expect_masking=expect_masking, policy=Policy(turn_frames=3))
    edges = [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    start = 0
    for edge in edges:
        wanted = s.parser.send(wire[start:edge])
        assert wanted >= 1
        start = edge
        if look:
            assert s.message is None or s.has_message == s.message.completed
    return finish(s)


def finish(s: Stream) -> Outcome:
    return (
        [(type(message), message.data, message.completed) for message in take(s)],
        [ping.data for ping in s.pings],
        [pong.data for pong in s.pongs],
        s.closing and (s.closing.code, s.closing.reason),
        [(error.code, error.reason) for error in s.errors],
    )


keys = st.binary(min_size=4, max_size=4)
controls = st.builds(frame, st.sampled_from([OPCODE_PING, OPCODE_PONG]), st.binary(max_size=125), key=keys)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, tuple[type[Message], bytes, bool]]:
    """Draw one message as frames, with control frames between them, and what is expected of it."""
    is_text = draw(st.booleans())
    data = draw(st.text(max_size=40)).encode() if is_text else draw(st.binary(max_size=300))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    wire = b""
    for number, part in enumerate(parts):
        opcode = OPCODE_CONTINUATION if number else OPCODE_TEXT if is_text else OPCODE_BINARY
        wire += frame(opcode, part, fin=int(number == len(parts) - 1), key=draw(keys))
        if draw(st.booleans()):
            wire += draw(controls)
    return wire, (TextMessage if is_text else BinaryMessage, data, True)


@given(st.lists(messages(), max_size=5), st.lists(st.integers(0, 5000), max_size=10), st.booleans())
def test_any_messages_at_any_split(
    drawn: list[tuple[bytes, tuple[type[Message], bytes, bool]]], cuts: list[int], look: bool
) -> None:
    wire = b"".join(part for part, _ in drawn)
    whole = outcome(wire, [])
    assert whole[0] == [expected for _, expected in drawn]
    assert whole[3:] == (None, [])
    assert outcome(wire, cuts, look=look) == whole


@given(st.lists(messages(), min_size=1, max_size=4))
def test_whoever_sends_what_is_asked_for_gets_the_same(
    drawn: list[tuple[bytes, tuple[type[Message], bytes, bool]]],
) -> None:
    # ws4py's driver: read 2 bytes, then as many as the stream wants, one frame at a time.
    wire = b"".join(part for part, _ in drawn)
    s = Stream()
    position, wanted = 0, 2
    while position < len(wire):
        assert position + wanted <= len(wire)
        position, wanted = position + wanted, s.parser.send(wire[position : position + wanted])
    assert wanted == 1
    assert finish(s) == outcome(wire, [])


@given(
    st.lists(st.one_of(st.binary(max_size=12), messages().map(lambda drawn: drawn[0]), controls), max_size=5),
    st.lists(st.integers(0, 3000), max_size=10),
    st.booleans(),
    st.booleans(),
)
def test_garbage_never_raises_and_splits_do_not_matter(
    parts: list[bytes], cuts: list[int], expect_masking: bool, look: bool
) -> None:
    wire = b"".join(parts)
    whole = outcome(wire, [], expect_masking)
    assert outcome(wire, cuts, expect_masking, look) == whole
    assert outcome(wire, range(len(wire)), expect_masking) == whole
    errors = whole[4]
    assert isinstance(errors, list)
    assert len(errors) <= 1
    assert {code for code, _ in errors} <= {1002, 1007, 1008, 1009}
