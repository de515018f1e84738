r"""
What came from a peer, as a terminal may have it.

A terminal obeys what it is sent: it moves the cursor, changes its title, writes right to left, hides. All of
these characters are shown as what they are, in the escapes of JSON: so text of JSON remains JSON.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["escape", "escape_lines", "show_url"]

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}

#: Control characters, C1 too; formats (bidi and zero-width, tags); lone surrogates; separators of lines.
_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

#: Of other categories, and yet nothing is to be seen of them: Unicode's Default_Ignorable_Code_Point. The
#: selectors U+FE00 to FE0F are no danger, and emoji need them.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2065\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def escape(text: str) -> str:
    r"""
    Write what a terminal, or a second line, would be as what it is.

    The result is one line. It is not to be turned back: a backslash stays as it is.

    >>> print(escape("a\x1b[2Jb\n\u202ec"))
    a\u001b[2Jb\n\u202ec
    """
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    return "".join(_name(each) if _is_dangerous(each) else each for each in text)


def escape_lines(text: str) -> str:
    r"""
    Write the same, and leave its line feeds and tabs, which a terminal may have.

    >>> print(escape_lines("a\x07\n\tb\r\n"))
    a\u0007
        b\r
    <BLANKLINE>
    """
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in text.split("\n"))


def show_url(url: str) -> str:
    """
    Write a URL without its user and password.

    >>> show_url("wss://me:secret@example.com/a@b"), show_url("ws://example.com/")
    ('wss://example.com/a@b', 'ws://example.com/')
    """
    return escape(re.sub(r"(?<=//)[^/?#]*@", "", url, count=1))


def _is_dangerous(character: str) -> bool:
    return unicodedata.category(character) in _CATEGORIES or _INVISIBLE.match(character) is not None


def _name(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
