"""Stream: the counts its parser asks for, and that splits do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faces.streams import KEY, frame, take, text
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.framing import (
    OPCODE_BINARY,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
)
from ws4py_middleware.messaging import (
    BinaryMessage,
    Message,
    TextMessage,
)
from ws4py_middleware.streaming import Stream

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
