"""
Incremental UTF-8: text is refused at its first wrong byte, :rfc:`6455#section-8.1`.

The decoder of the standard library is both the fastest validator there is in
pure Python and a strict one: overlong forms and code points above U+10FFFF are
refused at the byte that makes them so, not at the end of the sequence. Only
surrogates need help (``tests/core/test_utf8.py`` holds it against the grammar of
:rfc:`3629#section-4`). ``utf8.pyx`` has that grammar in C: a decoder makes a str that nobody
asked for.
"""

from __future__ import annotations

import codecs

from ..exc import TextFrameEncodingException

__all__ = ["IncrementalUtf8", "check_utf8", "is_ascii"]

_utf_8_decode = codecs.utf_8_decode

#: Tell whether bytes are all ASCII, as most texts are, which then need no other check.
is_ascii = bytes.isascii


def check_utf8(data: bytes | bytearray) -> None:
    """
    Check a whole text.

    Raises:
        TextFrameEncodingException: ``data`` is not UTF-8, or ends inside a code point.
    """
    if not data.isascii():
        try:
            _utf_8_decode(data, "strict", True)
        except UnicodeDecodeError as error:
            raise TextFrameEncodingException(_describe(error)) from None


class IncrementalUtf8:
    """Check a text that comes in pieces; a code point may be cut anywhere."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes | bytearray, final: bool = False) -> None:
        """
        Check the next piece.

        Args:
            data: Zero or more bytes.
            final: Whether the text ends here, so that no code point may be open.

        Raises:
            TextFrameEncodingException: No continuation can make this UTF-8.
        """
        rest = self._rest
        if not rest and data.isascii():
            return
        if rest:
            data = rest + data
        try:
            used = _utf_8_decode(data, "strict", final)[1]
        except UnicodeDecodeError as error:
            raise TextFrameEncodingException(_describe(error)) from None
        rest = self._rest = bytes(data[used:])
        # The one thing that the decoder puts off, for its error handler "surrogatepass".
        if len(rest) == 2 and rest[0] == 0xED and rest[1] >= 0xA0:
            raise TextFrameEncodingException("text is not UTF-8: surrogates are not allowed")

    def reset(self) -> None:
        """Begin a new text."""
        self._rest = b""


def _describe(error: UnicodeDecodeError) -> str:
    return f"text is not UTF-8: {error.reason}"
