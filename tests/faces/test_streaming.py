"""Stream: ws4py's attributes over the one parser, strict where ws4py was not."""

from __future__ import annotations

import gc
import types
import weakref

import pytest

from tests.faces.streams import close, fail, frame, peek, take, text
from ws4py_middleware import streaming
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import StreamClosed
from ws4py_middleware.framing import (
    OPCODE_BINARY,
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
