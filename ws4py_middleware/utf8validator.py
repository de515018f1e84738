"""
ws4py's incremental UTF-8 validator: where a text becomes invalid, to the byte.

:mod:`.core.utf8` says whether a text is UTF-8 and is what connections use. This
one says where it stops being UTF-8, and can be driven byte by byte.
"""

from __future__ import annotations

import codecs
from typing import ClassVar

from .core.types import Buffer

__all__ = ["Utf8Validator"]

_utf_8_decode = codecs.utf_8_decode

#: The class of each byte, as runs: "Flexible and Economical UTF-8 Decoder" by Bjoern Hoehrmann,
#: http://bjoern.hoehrmann.de/utf-8/decoder/dfa/
_CLASSES = (
    [0] * 128  # 00..7F ASCII
    + [1] * 16  # 80..8F
    + [9] * 16  # 90..9F
    + [7] * 32  # A0..BF
    + [8] * 2  # C0, C1 are always overlong
    + [2] * 30  # C2..DF
    + [10]  # E0, overlong below A0
    + [3] * 12  # E1..EC
    + [4]  # ED, a surrogate from A0 on
    + [3] * 2  # EE, EF
    + [11]  # F0, overlong below 90
    + [6] * 3  # F1..F3
    + [5]  # F4, above U+10FFFF from 90 on
    + [8] * 11  # F5..FF are above U+10FFFF
)

#: What is legal in each state: ``{class: next state}``; everything else is rejected.
_TRANSITIONS: tuple[dict[int, int], ...] = (
    {0: 0, 2: 2, 3: 3, 4: 5, 5: 8, 6: 7, 10: 4, 11: 6},  # 0: between two code points
    {},  # 1: rejected, for good
    {1: 0, 7: 0, 9: 0},  # 2: one more byte
    {1: 2, 7: 2, 9: 2},  # 3: two more
    {7: 2},  # 4: two more, after E0
    {1: 2, 9: 2},  # 5: two more, after ED
    {7: 3, 9: 3},  # 6: three more, after F0
    {1: 3, 7: 3, 9: 3},  # 7: three more
    {1: 3},  # 8: three more, after F4
)


class Utf8Validator:
    r"""
    Check UTF-8 that comes in pieces and say at which byte it is wrong.

    What is legal is :rfc:`3629`: no surrogates, no overlong forms, nothing above
    U+10FFFF. The validator holds one state and no bytes.

    >>> validator = Utf8Validator()
    >>> validator.validate("h\xe9".encode()[:2])
    (True, False, 2, 2)
    >>> validator.validate(b"llo")
    (False, False, 0, 2)
    """

    #: The classes of the 256 bytes, then 16 transitions for each of the nine states.
    UTF8VALIDATOR_DFA: ClassVar[list[int]] = [
        *_CLASSES,
        *(row.get(kind, 1) for row in _TRANSITIONS for kind in range(16)),
    ]

    #: Where in a code point the text stands; ``UTF8_ACCEPT`` between two of them.
    state: int
    #: The code point that :meth:`decode` completed last, or as much of it as there is.
    codepoint: int
    #: How many bytes :meth:`validate` has accepted; at a wrong byte, its index in the whole text.
    i: int

    #: The state between two code points.
    UTF8_ACCEPT = 0
    #: The state after a wrong byte; only :meth:`reset` leaves it.
    UTF8_REJECT = 1

    def __init__(self) -> None:
        self.reset()

    def decode(self, b: int) -> int:
        """
        Take one byte.

        Args:
            b: The byte, 0 to 255.

        Returns:
            ``UTF8_ACCEPT`` when it completes a code point, which is then in
            :attr:`codepoint`; ``UTF8_REJECT`` when it is wrong; else the number of
            the state that waits for more.

        Raises:
            ValueError: ``b`` is no byte.
        """
        if not 0 <= b <= 255:
            raise ValueError(f"a byte is 0 to 255, not {b}")
        dfa = self.UTF8VALIDATOR_DFA
        kind = dfa[b]
        if self.state == self.UTF8_ACCEPT:
            self.codepoint = (0xFF >> kind) & b
        else:
            self.codepoint = (self.codepoint << 6) | (b & 0x3F)
        self.state = dfa[256 + (self.state << 4) + kind]
        return self.state

    def reset(self) -> None:
        """Begin a new text."""
        self.state = self.UTF8_ACCEPT
        self.codepoint = 0
        self.i = 0

    def validate(self, ba: Buffer) -> tuple[bool, bool, int, int]:
        """
        Check the next piece of a text.

        Args:
            ba: Zero or more bytes. Not modified; a code point may be cut anywhere.

        Returns:
            ``(valid, ends on a code point, index in this piece, index in the whole
            text)``. For a valid piece the indices are its length and the length of
            all that was accepted; ws4py was one less than its documentation there.
            Otherwise they say which byte is wrong: no continuation of what stands
            before it can make it right. After that every piece is invalid, at 0.
        """
        data = ba if isinstance(ba, (bytes, bytearray)) else bytes(memoryview(ba))
        size = len(data)
        index = 0
        valid = self.state != self.UTF8_REJECT
        # A code point that was open goes through the automaton, and so does one that stays open or
        # is wrong; what is between them is the standard library's, many times as fast.
        while valid and index < size:
            if self.state == self.UTF8_ACCEPT:
                index += _count_valid(data[index:] if index else data)
                if index == size:
                    break
            valid = self.decode(data[index]) != self.UTF8_REJECT
            index += valid
        self.i += index
        return valid, self.state == self.UTF8_ACCEPT, index, self.i


def _count_valid(data: bytes | bytearray) -> int:
    """Count the bytes of the whole and valid code points that ``data`` begins with."""
    if data.isascii():
        return len(data)
    try:
        return _utf_8_decode(data, "strict", False)[1]
    except UnicodeDecodeError as error:
        return error.start
