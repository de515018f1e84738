"""What a peer sends reaches no terminal as it is."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cli.peer_app import NASTY
from ws4py_middleware.cli.connect.showing import dump, flatten, indent, is_json
from ws4py_middleware.cli.escaping import escape, escape_lines

#: What moves the cursor, or hides: C0 and C1, formats such as bidi and zero-width, separators, surrogates.
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}

#: Texts in which what matters is not rare.
TEXTS = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Zl", "Zp"]),
        st.sampled_from('\x00\x1b\x7f\x9b\u200b\u202e\u2066\ufeff\u3164\U000e0041\ud800\udfff\\"\n\t'),
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.lists(VALUES, max_size=4) | st.dictionaries(TEXTS, VALUES, max_size=4)


def find_obeyed(text: str) -> set[str]:
    return {each for each in text if unicodedata.category(each) in OBEYED}


@given(TEXTS)
@example(NASTY)
def test_escape_leaves_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = escape(text)
    assert not find_obeyed(shown)
    assert len(shown.splitlines()) <= 1


@given(TEXTS)
@example(NASTY)
def test_escape_lines_leaves_line_feeds_and_tabs_only(text: str) -> None:
    shown = escape_lines(text)
    assert find_obeyed(shown) <= {"\n", "\t"}
    assert shown.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text", ["", "plain", "Grüße, 世界", "👍🏽 ❤️", "a\u3000b", "[red]:smile:", "back\\slash"]
)
def test_what_is_harmless_stays(text: str) -> None:
    assert escape(text) == escape_lines(text) == text


@pytest.mark.parametrize("character", "\u034f\u115f\u180b\u3164\uffa0\U000e01ef")
def test_what_is_invisible_is_shown(character: str) -> None:
    assert escape(character).startswith("\\u")


@given(DOCUMENTS, st.sampled_from([None, 0, 3, "\t"]))
def test_json_in_a_line_remains_the_same_json(value: object, spaces: int | str | None) -> None:
    shown = flatten(json.dumps(value, ensure_ascii=False, indent=spaces))
    assert not find_obeyed(shown)
    assert json.loads(shown) == value


@given(DOCUMENTS, st.sampled_from([None, 0, 3, "\t"]))
def test_indented_json_remains_the_same_json(value: object, spaces: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=spaces)
    assert is_json(text)
    shown = indent(text)
    assert find_obeyed(shown) <= {"\n"}
    assert json.loads(shown) == value


def test_indented_numbers_keep_each_digit() -> None:
    assert indent("[1.10, 1e999, 12345678901234567890.0, -0]").split() == [
        "[",
        "1.10,",
        "1e999,",
        "12345678901234567890.0,",
        "-0",
        "]",
    ]


@pytest.mark.parametrize("text", ["", "1", '"text"', "{", '{"a": }', "[" * 100_000, "[1] [2]"])
def test_what_is_not_json_is_not_taken_for_it(text: str) -> None:
    assert not is_json(text)


def test_numbers_that_are_too_long_for_python_are_json() -> None:
    assert is_json(f"[{'1' * 10_000}]")


@given(st.binary(max_size=80))
def test_dump_has_each_byte(data: bytes) -> None:
    lines = dump(data).splitlines()
    assert not find_obeyed("".join(lines))
    assert b"".join(bytes.fromhex(line[10:58]) for line in lines) == data
