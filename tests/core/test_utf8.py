"""
The expected values come from RFC 3629 section 4, whose grammar is written down below as a table of states.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.twins import load_pure, outcome
from ws4py_middleware.core import utf8
from ws4py_middleware.core.utf8 import IncrementalUtf8, check_utf8, is_ascii
from ws4py_middleware.exc import TextFrameEncodingException

pure = load_pure(utf8)

TAIL = range(0x80, 0xC0)

#: UTF8-1 to UTF8-4: what each sequence is made of, byte by byte.
GRAMMAR = [
    [range(0x80)],
    [range(0xC2, 0xE0), TAIL],
    [range(0xE0, 0xE1), range(0xA0, 0xC0), TAIL],
    [range(0xE1, 0xED), TAIL, TAIL],
    [range(0xED, 0xEE), range(0x80, 0xA0), TAIL],
    [range(0xEE, 0xF0), TAIL, TAIL],
    [range(0xF0, 0xF1), range(0x90, 0xC0), TAIL, TAIL],
    [range(0xF1, 0xF4), TAIL, TAIL, TAIL],
    [range(0xF4, 0xF5), range(0x80, 0x90), TAIL, TAIL],
]


def can_begin(data: bytes) -> bool:
    """Tell whether a sequence of the grammar begins with ``data``, or is it."""
    return any(
        len(data) <= len(sequence) and all(byte in part for byte, part in zip(data, sequence, strict=False))
        for sequence in GRAMMAR
    )


def is_whole(data: bytes) -> bool:
    return any(len(data) == len(sequence) for sequence in GRAMMAR if data[0] in sequence[0])


def first_wrong(data: bytes) -> int | None:
    """Return where the first byte is that makes ``data`` impossible; its length when it ends too early."""
    start = 0
    for position in range(len(data)):
        if not can_begin(data[start : position + 1]):
            return position
        if is_whole(data[start : position + 1]):
            start = position + 1
    return None if start == len(data) else len(data)


def is_taken(parts: Iterable[bytes], *, final: bool = False) -> bool:
    """Feed the parts, and the end if it is one; tell whether all were taken."""
    decoder = IncrementalUtf8()
    try:
        for part in parts:
            decoder.feed(part)
        if final:
            decoder.feed(b"", final=True)
    except TextFrameEncodingException as error:
        return error.close_code != 1007
    return True


def each(data: bytes) -> list[bytes]:
    return [data[position : position + 1] for position in range(len(data))]


def test_feed_every_sequence_is_refused_exactly_at_the_first_byte_that_makes_it_impossible() -> None:
    prefixes = [b""]
    checked = 0
    while prefixes:
        grown = []
        for prefix in prefixes:
            for byte in range(256):
                data = prefix + bytes([byte])
                # Byte by byte, and all at once, and behind something else.
                possible = can_begin(data)
                assert is_taken([prefix, data[-1:]]) is possible, data.hex()
                if len(prefix) < 3:
                    assert is_taken(each(data)) is is_taken([data]) is is_taken([b"a" + data]) is possible
                checked += 1
                # Of tails that are alike, the first and last are enough to go on with.
                if (
                    possible
                    and not is_whole(data)
                    and (len(data) < 2 or byte in (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF))
                ):
                    grown.append(data)
        prefixes = grown
    assert checked > 30_000


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        # The Greek word of Autobahn's section 6, then a surrogate, then more text.
        (bytes.fromhex("cebae1bdb9cf83cebcceb5eda080656469746564"), 12),
        (bytes.fromhex("cebae1bdb9cf83cebcceb5f4908080656469746564"), 12),
        (b"\xc0\xaf", 0),
        (b"\xc1\xbf", 0),
        (b"\xe0\x80\xaf", 1),
        (b"\xf0\x80\x80\xaf", 1),
        (b"\xf0\x8f\xbf\xbf", 1),
        (b"\xf5\x80", 0),
        (b"\xf8\x88\x80\x80\x80", 0),
        (b"\xfc\x84\x80\x80\x80\x80", 0),
        (b"\xfe", 0),
        (b"\xff", 0),
        (b"a\x80", 1),
        (b"\xc3(", 1),
        (b"\xe2\x82(", 2),
        (b"\xf0\x9f\x98(", 3),
        (b"\xed\xbf\xbf", 1),
        (b"\xef\xbb\xbf\xff", 3),
    ],
)
def test_feed_famous_wrong_texts_are_refused_where_they_go_wrong(data: bytes, wrong: int) -> None:
    assert first_wrong(data) == wrong
    assert is_taken([data[:wrong]])
    assert not is_taken([data[: wrong + 1]])
    assert is_taken(each(data[:wrong]))
    assert not is_taken(each(data[: wrong + 1]))
    with pytest.raises(TextFrameEncodingException, match="text is not UTF-8"):
        check_utf8(data)


@pytest.mark.parametrize(
    "text",
    ["", "a", "\x00\x7f", "\x80\u07ff", "\u0800\ud7ff\ue000\uffff", "\U00010000\U0010ffff", "\ufeff\ufffe"],
)
def test_feed_the_edges_of_unicode_are_taken(text: str) -> None:
    data = text.encode()
    check_utf8(data)
    assert is_taken([data], final=True)
    assert is_taken(each(data), final=True)


@pytest.mark.parametrize("data", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"a\xf0"])
def test_feed_a_text_that_ends_inside_a_code_point_is_refused_at_its_end(data: bytes) -> None:
    assert is_taken([data])
    assert not is_taken([data], final=True)
    assert not is_taken(each(data), final=True)
    with pytest.raises(TextFrameEncodingException, match="text is not UTF-8"):
        IncrementalUtf8().feed(data, final=True)
    with pytest.raises(TextFrameEncodingException, match="text is not UTF-8") as caught:
        check_utf8(data)
    assert caught.value.close_code == 1007


def test_feed_empty_pieces_change_nothing() -> None:
    assert is_taken([b"", b"\xe2", b"", b"\x82", b"", b"\xac", b""], final=True)
    assert not is_taken([b"\xe2", b"", b"("])


def test_reset_forgets_an_open_code_point() -> None:
    decoder = IncrementalUtf8()
    decoder.feed(b"\xe2\x82")
    decoder.reset()
    decoder.feed(b"abc", final=True)


mixed = st.lists(
    st.text().map(str.encode)
    | st.binary(max_size=3)
    | st.sampled_from([b"\xe2\x82", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc3\xa4", b"\xf4\x8f\xbf\xbf"])
).map(b"".join)


@given(mixed, st.lists(st.integers(0, 200)))
def test_feed_any_split_gives_the_same_answer_as_the_grammar(data: bytes, cuts: list[int]) -> None:
    positions = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = IncrementalUtf8()
    wrong = first_wrong(data)
    refused_in: range | None = None
    for start, stop in pairwise(positions):
        try:
            decoder.feed(data[start:stop])
        except TextFrameEncodingException:
            refused_in = range(start, stop)
            break
    if wrong is None or wrong == len(data):
        assert refused_in is None
        assert is_taken([data], final=True) is (wrong is None)
    else:
        assert refused_in is not None
        assert wrong in refused_in


@given(mixed)
def test_check_utf8_agrees_with_the_grammar(data: bytes) -> None:
    try:
        check_utf8(data)
        taken = True
    except TextFrameEncodingException:
        taken = False
    assert taken is (first_wrong(data) is None)


def test_bytes_that_may_change_are_checked_as_they_are() -> None:
    check_utf8(bytearray("héé".encode()))
    decoder = IncrementalUtf8()
    decoder.feed(bytearray(b"h\xc3"))
    decoder.feed(bytearray(b"\xa9"), True)
    for wrong in (b"\xc3", b"\xff"):
        with pytest.raises(TextFrameEncodingException):
            check_utf8(bytearray(wrong))
        with pytest.raises(TextFrameEncodingException):
            IncrementalUtf8().feed(bytearray(wrong), True)


@pytest.mark.parametrize("position", [*range(33), 4095])
def test_check_utf8_finds_a_wrong_byte_wherever_it_stands(position: int) -> None:
    for wrong in (b"\x80", b"\xff", b"\xc3"):
        text = b"a" * position + wrong + b"a" * 50
        with pytest.raises(TextFrameEncodingException):
            check_utf8(text)
        check_utf8(b"a" * position + "é".encode() + b"a" * 50)


@given(st.lists(mixed), st.booleans())
def test_both_builds_say_the_same(parts: list[bytes], final: bool) -> None:
    for part in parts:
        assert outcome(check_utf8, part) == outcome(pure.check_utf8, part)
    ours, theirs = IncrementalUtf8(), pure.IncrementalUtf8()
    for index, part in enumerate(parts):
        is_last = final and index == len(parts) - 1
        said = outcome(ours.feed, part, is_last)
        assert said == outcome(theirs.feed, part, is_last)
        if said is not None:
            break


@pytest.mark.parametrize("size", [*range(1, 20), 127, 1023, 1024, 1025, 1033, 3000])
def test_is_ascii_sees_each_byte(size: int) -> None:
    assert is_ascii(b"a" * size)
    for position in {0, size // 2, max(size - 9, 0), max(size - 8, 0), size - 2 if size > 1 else 0, size - 1}:
        text = bytearray(b"a" * size)
        text[position] = 0x80
        assert not is_ascii(bytes(text))
