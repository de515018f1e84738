"""Messages: ws4py's names and meanings, and what is stricter here."""

from __future__ import annotations

import copy
import os
import pickle
import weakref
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware import messaging
from ws4py_middleware.messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
    make_binary,
    make_text,
)

WORD = "étrange"
WIRE = b"\xc3\xa9trange"

KEY = bytes.fromhex("37fa213d")


@pytest.fixture
def fixed_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: KEY[:size])


# --- the documents that describe ws4py ---------------------------------------------


def test_tutorial_data_source_of_messages() -> None:
    def data_source() -> Iterator[TextMessage]:
        yield TextMessage("hello world")

    (message,) = data_source()
    assert str(message) == "hello world"


def test_tutorial_client_compares_lengths() -> None:
    assert len(TextMessage("*" * 175)) == 175


def test_module_documentation_names() -> None:
    assert set(messaging.__all__) == {
        "Message",
        "TextMessage",
        "BinaryMessage",
        "CloseControlMessage",
        "PingControlMessage",
        "PongControlMessage",
    }


# --- text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [WORD, WIRE, bytearray(WIRE), memoryview(WIRE)], ids=lambda t: type(t).__name__
)
def test_text_message_of_each_type_is_the_same(text: str | bytes | bytearray | memoryview) -> None:
    message = TextMessage(text)
    assert message.is_text
    assert not message.is_binary
    assert message.opcode == 1
    assert message.encoding == "utf-8"
    assert message.completed is False
    assert type(message.data) is bytes
    assert message.data == WIRE
    assert len(message) == 7
    assert str(message) == WORD
    assert message.__unicode__() == WORD
    assert message.single() == b"\x81\x08" + WIRE
    assert message.fragment(first=True, last=True) == message.single()


@pytest.mark.parametrize("more", [" oui", b" oui", bytearray(b" oui"), memoryview(b" oui")])
def test_extend_appends(more: str | bytes | bytearray | memoryview) -> None:
    message = TextMessage(WORD)
    assert str(message) == WORD
    message.extend(more)
    assert type(message.data) is bytes
    assert message.data == WIRE + b" oui"
    assert str(message) == WORD + " oui"
    assert len(message) == 11


def test_text_is_decoded_once() -> None:
    message = TextMessage(WIRE)
    assert str(message) is str(message)


def test_text_follows_data_and_encoding_that_are_assigned() -> None:
    message = TextMessage(WIRE)
    assert str(message) == WORD
    message.data = b"\xe9"
    message.encoding = "latin-1"
    assert str(message) == "é"
    assert len(message) == 1
    message.encoding = "cp437"
    assert str(message) == "Θ"


def test_other_encodings() -> None:
    message = Message(1, "é", encoding="latin-1")
    assert message.data == b"\xe9"
    assert len(message) == 1
    message.extend("ü")
    assert message.data == b"\xe9\xfc"


def test_message_of_bytes_that_are_not_utf8_fails_where_it_is_decoded() -> None:
    message = TextMessage(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        str(message)
    with pytest.raises(UnicodeDecodeError):
        len(message)
    assert message  # its truth needs no text


@pytest.mark.parametrize("text", [None, 1, ["something else"], object()])
def test_text_message_of_another_type_raises(text: object) -> None:
    with pytest.raises(TypeError, match="str, bytes, bytearray or memoryview"):
        TextMessage(text)  # type: ignore[arg-type]


def test_extend_with_another_type_raises_and_changes_nothing() -> None:
    message = TextMessage(WORD)
    with pytest.raises(TypeError):
        message.extend(["lists are not"])  # type: ignore[arg-type]
    assert message.data == WIRE


def test_str_without_encoding_raises() -> None:
    with pytest.raises(TypeError, match="encoding"):
        Message(1, WORD, encoding=None)


# --- binary --------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\xff\x00", bytearray(b"\xff\x00"), memoryview(b"\xff\x00")])
def test_binary_message(data: bytes | bytearray | memoryview) -> None:
    message = BinaryMessage(data)
    assert message.is_binary
    assert not message.is_text
    assert message.opcode == 2
    assert message.encoding is None
    assert type(message.data) is bytes
    assert len(message) == 2
    assert message.single() == b"\x82\x02\xff\x00"
    message.extend(b"\x01")
    assert message.data == b"\xff\x00\x01"


def test_binary_message_has_no_text() -> None:
    with pytest.raises(TypeError, match=r"\.data"):
        str(BinaryMessage(b"abc"))


@pytest.mark.parametrize("data", ["text", None, 5, [1, 2]])
def test_binary_message_of_another_type_raises(data: object) -> None:
    with pytest.raises(TypeError):
        BinaryMessage(data)  # type: ignore[arg-type]


def test_binary_message_does_not_extend_by_str() -> None:
    with pytest.raises(TypeError):
        BinaryMessage(b"").extend("text")


def test_memoryview_of_any_shape() -> None:
    view = memoryview(bytes(range(8)))[::2]
    assert BinaryMessage(view).data == b"\x00\x02\x04\x06"


# --- what they have in common ------------------------------------------------------------


def test_bare_message_knows_what_it_is() -> None:
    assert Message(1).is_text
    assert not Message(1).is_binary
    assert Message(2, encoding=None).is_binary
    assert not Message(9).is_text
    assert len(Message(2, b"\xff", encoding=None)) == 1


def test_completed_can_be_set() -> None:
    message = TextMessage("")
    message.completed = True
    assert message.completed


def test_empty_messages_are_false() -> None:
    assert not TextMessage("")
    assert not BinaryMessage(b"")
    assert not PingControlMessage()
    assert not CloseControlMessage()
    assert TextMessage("a")
    assert BinaryMessage(b"\x00")
    assert PingControlMessage("a")
    assert CloseControlMessage(reason="a")


@pytest.mark.usefixtures("fixed_key")
def test_single_masked_is_the_rfcs_example() -> None:
    # RFC 6455 section 5.7.
    assert TextMessage("Hello").single().hex() == "810548656c6c6f"
    assert TextMessage("Hello").single(mask=True).hex() == "818537fa213d7f9f4d5158"


@pytest.mark.usefixtures("fixed_key")
def test_fragments_are_the_rfcs_example() -> None:
    assert TextMessage("Hel").fragment(first=True).hex() == "010348656c"
    assert TextMessage("lo").fragment(last=True).hex() == "80026c6f"
    assert BinaryMessage(b"x").fragment().hex() == "000178"
    assert TextMessage("Hello").fragment(first=True, last=True, mask=True).hex() == "818537fa213d7f9f4d5158"


def test_masks_are_fresh_and_random() -> None:
    message = BinaryMessage(bytes(8))
    assert len({message.single(mask=True) for _ in range(32)}) == 32
    assert len({message.fragment(mask=True) for _ in range(32)}) == 32


@pytest.mark.parametrize("opcode", [3, 7, 11, 15, 16, -1])
def test_reserved_opcode_is_not_built(opcode: int) -> None:
    message = Message(opcode, b"x")
    with pytest.raises(ValueError, match="reserved"):
        message.single()
    with pytest.raises(ValueError, match="reserved"):
        message.fragment(first=True)


@pytest.mark.parametrize("kind", [PingControlMessage, PongControlMessage])
def test_control_message_is_small_and_never_fragmented(
    kind: type[PingControlMessage] | type[PongControlMessage],
) -> None:
    # RFC 6455 section 5.5.
    assert len(kind(b"*" * 125).single()) == 127
    with pytest.raises(ValueError, match="125"):
        kind(b"*" * 126).single()
    for first, last in ((False, False), (True, False), (False, True)):
        with pytest.raises(ValueError, match="fragmented"):
            kind(b"").fragment(first=first, last=last)
    assert kind(b"").fragment(first=True, last=True) == kind(b"").single()


def test_repr_is_short() -> None:
    assert repr(TextMessage("hi")) == "<TextMessage b'hi'>"
    assert repr(CloseControlMessage(1001, "bye")) == "<CloseControlMessage 1001 b'bye'>"
    shown = repr(BinaryMessage(bytes(100_000)))
    assert len(shown) < 400
    assert shown.endswith("... 100000 bytes>")


def test_messages_can_be_copied_pickled_and_referred_to_weakly() -> None:
    for message in (
        TextMessage(WORD),
        BinaryMessage(WIRE),
        CloseControlMessage(1001, WORD),
        TextMessage.from_bytes(WIRE),
    ):
        for twin in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
            assert type(twin) is type(message)
            assert (twin.opcode, twin.data, twin.encoding, twin.completed) == (
                message.opcode,
                message.data,
                message.encoding,
                message.completed,
            )
        assert weakref.ref(message)() is message


def test_messages_have_no_dict_and_subclasses_may() -> None:
    class Tagged(TextMessage):
        pass

    with pytest.raises(AttributeError):
        TextMessage("").tag = 1  # type: ignore[attr-defined]
    tagged = Tagged.from_bytes(b"hi")
    tagged.tag = 1  # type: ignore[attr-defined]
    assert isinstance(tagged, Tagged)
    assert str(tagged) == "hi"


# --- pings and pongs -------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "opcode"), [(PingControlMessage, 9), (PongControlMessage, 10)])
def test_ping_and_pong(kind: Callable[[str | bytes | None], Message], opcode: int) -> None:
    message = kind("are you there?")
    assert message.opcode == opcode
    assert message.encoding == "utf-8"
    assert message.data == b"are you there?"
    assert len(message) == 14
    assert str(message) == "are you there?"
    assert message.single() == bytes((0x80 | opcode, 14)) + b"are you there?"
    assert kind(None).data == b""


def test_ping_of_any_bytes_has_a_length_and_a_text() -> None:
    # The payload of a ping is any bytes; keepalives send random ones.
    message = PongControlMessage(b"\xff\x00\x80")
    assert len(message) == 3
    assert str(message) == "\ufffd\x00\ufffd"


# --- close -----------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["bye bye", b"bye bye", bytearray(b"bye bye"), memoryview(b"bye bye")])
def test_close_message(reason: str | bytes | bytearray | memoryview) -> None:
    message = CloseControlMessage(reason=reason)
    assert message.opcode == 8
    assert message.encoding == "utf-8"
    assert message.code == 1000
    assert type(message.reason) is bytes
    assert message.reason == b"bye bye"
    assert str(message) == "bye bye"
    assert len(message) == 7
    assert message.data == b"\x03\xe8bye bye"
    assert message.single() == b"\x88\x09\x03\xe8bye bye"


def test_close_message_length_is_of_the_text() -> None:
    message = CloseControlMessage(1001, WORD)
    assert len(message) == 7
    assert message.reason == WIRE


def test_close_message_without_reason() -> None:
    for message in (
        CloseControlMessage(1001),
        CloseControlMessage(1001, None),
        CloseControlMessage(1001, b""),
    ):
        assert message.reason == b""
        assert str(message) == ""
        assert message.single() == b"\x88\x02\x03\xe9"


@pytest.mark.parametrize("code", [None, 0, 1005])
def test_close_message_without_code_is_empty_on_the_wire(code: int | None) -> None:
    # RFC 6455 section 7.4.1: 1005 "MUST NOT be set as a status code in a Close control frame".
    message = CloseControlMessage(code, "kept as a record")
    assert message.code == code
    assert message.reason == b"kept as a record"
    assert message.single() == b"\x88\x00"


@pytest.mark.parametrize("code", [1, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536, -1])
def test_close_message_with_code_that_may_not_be_sent_raises(code: int) -> None:
    with pytest.raises(ValueError, match="may not be sent"):
        CloseControlMessage(code)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4999])
def test_close_message_with_valid_code(code: int) -> None:
    assert CloseControlMessage(code).data == code.to_bytes(2, "big")


def test_close_message_reason_is_cut_at_a_character() -> None:
    message = CloseControlMessage(1000, "é" * 100)
    assert message.reason == b"\xc3\xa9" * 61
    assert len(message) == 61
    assert len(message.single()) == 2 + 124


def test_close_message_reason_that_is_not_utf8_raises() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        CloseControlMessage(1000, b"h\xc3llo")


# --- the hot path --------------------------------------------------------------------------


def test_from_bytes_is_a_received_message() -> None:
    text = TextMessage.from_bytes(WIRE)
    assert type(text) is TextMessage
    assert text.data is WIRE
    assert (text.opcode, text.encoding, text.completed) == (1, "utf-8", True)
    assert (str(text), len(text), text.is_text) == (WORD, 7, True)
    binary = BinaryMessage.from_bytes(WIRE)
    assert type(binary) is BinaryMessage
    assert binary.data is WIRE
    assert (binary.opcode, binary.encoding, binary.completed) == (2, None, True)
    assert (len(binary), binary.is_binary) == (8, True)


def test_message_keeps_its_data() -> None:
    message = TextMessage.from_bytes(b"kept")
    str(message)
    assert message.data == b"kept"


# --- properties -------------------------------------------------------------------------------


@given(st.text())
def test_text_any_text_comes_back(text: str) -> None:
    message = TextMessage(text)
    assert str(message) == text
    assert len(message) == len(text)
    assert message.data == text.encode()


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_fragment_of_anything_has_the_right_head(data: bytes, first: bool, last: bool) -> None:
    wire = BinaryMessage(data).fragment(first=first, last=last)
    assert wire[0] == (0x80 if last else 0) | (2 if first else 0)
    assert wire.endswith(data)
    assert len(wire) == len(data) + (2 if len(data) < 126 else 4)


def test_received_messages_are_made_in_either_way() -> None:
    for made, usual in (
        (make_text("né".encode()), TextMessage.from_bytes("né".encode())),
        (make_binary(b"\xff"), BinaryMessage.from_bytes(b"\xff")),
    ):
        assert type(made) is type(usual)
        assert (made.opcode, made.encoding, made.completed) == (usual.opcode, usual.encoding, True)
        assert made.data == usual.data
        assert (made.is_text, made.is_binary, len(made)) == (usual.is_text, usual.is_binary, len(usual))
    assert str(make_text("né".encode())) == "né"


def test_received_messages_of_a_class_of_ones_own_are_made_without_its_constructor() -> None:
    class Named(TextMessage):
        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            super().__init__("")
            self.name = name

    named = Named.from_bytes(b"Hello")
    assert type(named) is Named
    assert str(named) == "Hello"
    assert not hasattr(named, "name")


class Kept(TextMessage):
    """A message with slots of its own."""

    __slots__ = ("note",)
    note: str


class Open(BinaryMessage):
    """A message with any attributes."""


def test_messages_of_classes_of_ones_own_are_copied_whole() -> None:
    kept, opened = Kept.from_bytes(b"Hello"), Open(b"data")
    kept.note = "one"
    opened.note = "two"  # type: ignore[attr-defined]
    for message in (kept, opened, Kept.from_bytes(b"no note")):
        for twin in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
            assert type(twin) is type(message)
            assert (twin.data, twin.completed) == (message.data, message.completed)
            assert getattr(twin, "note", None) == getattr(message, "note", None)
