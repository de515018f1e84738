"""
What ws4py's users imported from its ``compat``, from the days of two Pythons.

Nothing in this package uses it.
"""

from __future__ import annotations

import builtins
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "basestring",
    "detach_connection",
    "get_connection",
    "ord",
    "py3k",
    "range",
    "unicode",
    "urlsplit",
]

py3k = True
range = builtins.range
unicode = str
basestring = (bytes, str)


def ord(character: int | str | bytes) -> int:
    """Return the number of a character, or of a byte that is one already."""
    return character if isinstance(character, int) else builtins.ord(character)


def get_connection(fileobj: Any) -> Any:
    """Return the socket below a buffered file that ``makefile()`` made."""
    return fileobj.raw._sock


def detach_connection(fileobj: Any) -> None:
    """Separate a buffered file from its socket, which stays open."""
    fileobj.detach()
