"""Utf8Validator: ws4py's table, and exact indices at any split."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ws4py_middleware.utf8validator import Utf8Validator

# The table as ws4py's documentation prints it, without the commas.
DOCUMENTED = """
0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 9 9 9 9 9 9
9 9 9 9 9 9 9 9 9 9 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 8 2 2 2 2 2 2
2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 10 3 3 3 3 3 3 3 3 3 3 3 3 4 3 3 11 6 6 6 5 8 8 8 8 8
8 8 8 8 8 8 0 1 2 3 5 8 7 1 1 1 4 6 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 0 1 1 1 1 1 0 1 0 1 1
1 1 1 1 1 2 1 1 1 1 1 2 1 2 1 1 1 1 1 1 1 1 1 1 1 1 1 2 1 1 1 1 1 1 1 1 1 2 1 1 1 1 1 1 1 2 1 1 1 1
1 1 1 1 1 1 1 1 1 3 1 3 1 1 1 1 1 1 1 3 1 1 1 1 1 3 1 3 1 1 1 1 1 1 1 3 1 1 1 1 1 1 1 1 1 1 1 1 1 1
"""
DOCUMENTED_DFA = [int(number) for number in DOCUMENTED.split()]


def reference(pieces: list[bytes]) -> list[tuple[bool, bool, int, int]]:
    """Run the documented automaton byte by byte and say what the documentation says."""
    state, total = 0, 0
    quads = []
    for piece in pieces:
        index, valid = 0, state != 1
        while valid and index < len(piece):
            state = DOCUMENTED_DFA[256 + state * 16 + DOCUMENTED_DFA[piece[index]]]
            if state == 1:
                valid = False
            else:
                index += 1
        total += index
        quads.append((valid, state == 0, index, total))
    return quads


def validate(pieces: list[bytes]) -> list[tuple[bool, bool, int, int]]:
    validator = Utf8Validator()
    return [validator.validate(piece) for piece in pieces]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def test_table_is_the_documented_one() -> None:
    assert len(DOCUMENTED_DFA) == 400
    assert Utf8Validator.UTF8VALIDATOR_DFA == DOCUMENTED_DFA
    assert (Utf8Validator.UTF8_ACCEPT, Utf8Validator.UTF8_REJECT) == (0, 1)


def test_attributes_of_a_new_one() -> None:
    validator = Utf8Validator()
    assert (validator.state, validator.codepoint, validator.i) == (0, 0, 0)


@pytest.mark.parametrize("character", ["a", "é", "€", "\ud7ff", "\ue000", "\U0001f600", "\U0010ffff", "\x00"])
def test_decode_gives_the_code_point(character: str) -> None:
    validator = Utf8Validator()
    states = [validator.decode(byte) for byte in character.encode()]
    assert states[-1] == Utf8Validator.UTF8_ACCEPT
    assert all(state > Utf8Validator.UTF8_REJECT for state in states[:-1])
    assert validator.codepoint == ord(character)
    assert validator.state == Utf8Validator.UTF8_ACCEPT


@pytest.mark.parametrize(
    ("wire", "accepted"),
    [
        ("80", 0),  # a continuation byte first
        ("c0", 0),  # overlong
        ("c1", 0),
        ("e080", 1),
        ("f08f", 1),
        ("eda0", 1),  # a surrogate
        ("f490", 1),  # above U+10FFFF
        ("f5", 0),
        ("ff", 0),
        ("c341", 1),  # no continuation byte
        ("e28241", 2),
        ("f09f9841", 3),
    ],
)
def test_decode_rejects_at_the_byte_and_stays(wire: str, accepted: int) -> None:
    data = bytes.fromhex(wire)
    validator = Utf8Validator()
    states = [validator.decode(byte) for byte in data]
    assert states.index(Utf8Validator.UTF8_REJECT) == accepted
    assert validator.decode(0x41) == Utf8Validator.UTF8_REJECT
    assert validate([b"ok " + data]) == [(False, False, 3 + accepted, 3 + accepted)]
    assert validate([b"ok", b" ", data]) == [
        (True, True, 2, 2),
        (True, True, 1, 3),
        (False, False, accepted, 3 + accepted),
    ]


@pytest.mark.parametrize("number", [-1, 256])
def test_decode_refuses_what_is_no_byte(number: int) -> None:
    with pytest.raises(ValueError, match="byte"):
        Utf8Validator().decode(number)


def test_validate_indices_of_a_valid_piece_are_lengths() -> None:
    # "When valid? == True, currentIndex will be len(ba) and totalIndex the total amount of consumed bytes."
    validator = Utf8Validator()
    assert validator.validate(b"abc") == (True, True, 3, 3)
    assert validator.validate(b"") == (True, True, 0, 3)
    assert validator.validate("d€".encode()[:3]) == (True, False, 3, 6)
    assert validator.state != Utf8Validator.UTF8_ACCEPT
    assert validator.validate(b"") == (True, False, 0, 6)
    assert validator.validate("€".encode()[2:]) == (True, True, 1, 7)
    assert (validator.state, validator.i) == (Utf8Validator.UTF8_ACCEPT, 7)


def test_validate_then_decode_of_one_code_point() -> None:
    validator = Utf8Validator()
    validator.validate("x😀".encode()[:3])
    assert [validator.decode(byte) for byte in "😀".encode()[2:]][-1] == 0
    assert validator.codepoint == ord("😀")


def test_validate_after_a_wrong_byte_stays_invalid_until_reset() -> None:
    validator = Utf8Validator()
    assert validator.validate(b"ab\xff") == (False, False, 2, 2)
    assert (validator.state, validator.i) == (Utf8Validator.UTF8_REJECT, 2)
    assert validator.validate(b"ab") == (False, False, 0, 2)
    assert validator.validate(b"") == (False, False, 0, 2)
    validator.reset()
    assert (validator.state, validator.codepoint, validator.i) == (0, 0, 0)
    assert validator.validate(b"ab") == (True, True, 2, 2)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_validate_takes_every_buffer(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    assert Utf8Validator().validate(kind("é".encode())) == (True, True, 2, 2)


@pytest.mark.parametrize("data", ["text", 5, None])
def test_validate_refuses_other_types(data: object) -> None:
    with pytest.raises(TypeError):
        Utf8Validator().validate(data)  # type: ignore[arg-type]


# Well-formed text with something wrong in it now and then, rather than only noise.
texts = st.lists(
    st.one_of(
        st.text(max_size=8).map(str.encode),
        st.text(max_size=1).map(lambda text: text.encode()[:-1]),
        st.sampled_from(
            [bytes.fromhex(wire) for wire in ("eda080", "c080", "e08080", "f4908080", "f0808080", "ff")]
        ),
        st.binary(max_size=3),
    ),
    max_size=6,
).map(b"".join)


@given(texts, st.lists(st.integers(0, 100), max_size=6))
@example(b"\xf0\x9f\x98\x80", [1, 2, 3])
@example(b"a\xed\xa0\x80", [2])
def test_validate_is_the_automaton_at_any_split(data: bytes, cuts: list[int]) -> None:
    pieces = split(data, cuts)
    quads = validate(pieces)
    assert quads == reference(pieces)
    if quads[-1][0] and quads[-1][1]:
        assert data.decode().encode() == data
    else:
        with pytest.raises(UnicodeDecodeError):
            data.decode()


@given(texts)
def test_decode_is_validate(data: bytes) -> None:
    validator = Utf8Validator()
    accepted = 0
    for byte in data:
        if validator.decode(byte) == Utf8Validator.UTF8_REJECT:
            break
        accepted += 1
    assert Utf8Validator().validate(data)[2] == accepted
