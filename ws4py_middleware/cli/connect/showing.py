"""How messages are shown: as one line for programs, or so that people can read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ..escaping import escape, escape_lines

__all__ = ["dump", "flatten", "indent", "is_json"]

#: A string, a bracket or comma or colon, a space between, and anything else.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[ \t\r\n]+|[^{}\[\],: \t\r\n"]+')

#: Deeper than this, nobody reads it; and Python's own parser goes about as deep.
_DEEPEST = 100


def is_json(text: str) -> bool:
    """Tell whether a text is an object or a list of JSON."""
    if text.lstrip()[:1] not in ("{", "["):  # fmt: skip
        return False
    try:
        json.loads(text, parse_int=len, parse_float=len)  # values do not matter; some are too long for Python
    except (ValueError, RecursionError):
        return False
    return True


def flatten(text: str) -> str:
    r"""
    Write a text as one line, so that JSON remains JSON.

    >>> print(flatten('{\n "a": "b\u202e"}'), flatten("two\nlines"))
    {  "a": "b\u202e"} two\nlines
    """
    if ("\n" in text or "\r" in text or "\t" in text) and is_json(text):
        # JSON has none of these in its strings; between them they are worth a space.
        text = re.sub(r"[\r\n\t]", " ", text)
    return escape(text)


def indent(text: str) -> str:
    r"""
    Write JSON over several lines; of its strings and numbers each character stays, or is escaped.

    >>> print(indent('{"a":[1.10,{}],"b\u202e":""}'))
    {
      "a": [
        1.10,
        {}
      ],
      "b\u202e": ""
    }
    """
    return escape_lines("".join(_lay_out(text)))


def _lay_out(text: str) -> Iterator[str]:
    depth = 0
    opened = ""
    for token in _TOKENS.findall(text):
        if token.isspace():
            continue
        if token in ("}", "]"):
            depth -= 1
            yield token if opened else _new_line(depth) + token
            opened = ""
            continue
        if opened:
            yield _new_line(depth)
            opened = ""
        yield token
        if token in ("{", "["):
            depth += 1
            opened = token
        elif token == ",":
            yield _new_line(depth)
        elif token == ":":
            yield " "


def _new_line(depth: int) -> str:
    return "\n" + "  " * min(depth, _DEEPEST)


def dump(data: bytes) -> str:
    r"""
    Write bytes as programmers look at them: sixteen a line, where they are, what they are, what they say.

    >>> print(dump(b"GET / HTTP/1.1\r\n\x00"))
    00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|
    00000010  00                                                |.|
    """
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        digits = f"{row[:8].hex(' '):23}  {row[8:].hex(' '):23}"
        said = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        lines.append(f"{start:08x}  {digits}  |{said}|")
    return "\n".join(lines)
