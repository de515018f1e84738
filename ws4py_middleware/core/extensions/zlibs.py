"""
Which library deflates and inflates: zlib-ng where it is installed (extra ``fast``), else Python's own zlib.

Both have the same functions and speak the same format, so each end of a connection may use another.
The environment variable ``WS4PY_MIDDLEWARE_ZLIB`` chooses one for everything, ``zlib`` or ``zlib-ng``.
Without it, compressors that connections keep are zlib's: each of zlib-ng's takes 128 KiB for its hash
table, however small its window.
"""

from __future__ import annotations

import functools
import importlib
import os
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from ..types import Buffer

__all__ = ["MIN_BITS", "Compressor", "Decompressor", "Library", "get_libraries", "get_library"]

#: The smallest window of both libraries, in bits.
MIN_BITS = 9

#: The environment variable that chooses.
_CHOICE = "WS4PY_MIDDLEWARE_ZLIB"

#: Run-length coding. PyPy's zlib knows it by no name.
_RLE: int = getattr(zlib, "Z_RLE", 3)

#: Most compressors of one kind that wait for a message: so many threads compress at once without a new one.
_MAX_FREE = 4


class Compressor(Protocol):
    """What ``compressobj()`` gives."""

    def compress(self, data: Buffer, /) -> bytes:
        """Take data; return what is already done of it."""

    def flush(self, mode: int, /) -> bytes:
        """Return the rest."""


class Decompressor(Protocol):
    """What ``decompressobj()`` gives."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unconsumed_tail(self) -> bytes:
        """What was not looked at, because ``max_length`` was reached."""

    @property
    def unused_data(self) -> bytes:
        """What came behind the end of the stream."""

    def decompress(self, data: Buffer, max_length: int, /) -> bytes:
        """Return what data stands for, and no more than ``max_length`` bytes of it."""


class Library:
    """
    A library that deflates, and its compressors that wait for a message.

    Args:
        name: As it is installed.
        module: With the names of Python's :mod:`zlib`.
    """

    __slots__ = ("_free", "compressobj", "decompressobj", "error", "name")

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        #: What is raised for a stream that does not inflate.
        self.error: type[Exception] = module.error
        self.compressobj: Callable[..., Compressor] = module.compressobj
        self.decompressobj: Callable[..., Decompressor] = module.decompressobj
        self._free: dict[tuple[int, int, int], list[Compressor]] = {}

    def __repr__(self) -> str:
        return f"Library({self.name!r})"

    def make_compressor(self, bits: int, level: int, mem_level: int) -> Compressor:
        """Return a compressor of raw streams that refer back no further than a window of 8 to 15 bits."""
        if bits >= MIN_BITS:
            return self.compressobj(level, zlib.DEFLATED, -bits, mem_level)
        # There is no raw window of 8 bits. Run-length coding never looks back further than one byte.
        return self.compressobj(level, zlib.DEFLATED, -MIN_BITS, mem_level, _RLE)

    def make_decompressor(self, bits: int) -> Decompressor:
        """Return a decompressor of raw streams, for a window of 9 to 15 bits."""
        return self.decompressobj(-bits)

    def take_compressor(self, bits: int, level: int, mem_level: int) -> Compressor:
        """
        Return a compressor that remembers nothing, for one message.

        It is the caller's alone until it is given back, so threads need no lock.
        """
        try:
            return self._free[bits, level, mem_level].pop()
        except (KeyError, IndexError):
            return self.make_compressor(bits, level, mem_level)

    def give_compressor(self, compressor: Compressor, bits: int, level: int, mem_level: int) -> None:
        """Give back a compressor after ``Z_FULL_FLUSH``, which makes it forget: cheaper than a new one."""
        free = self._free.setdefault((bits, level, mem_level), [])
        if len(free) < _MAX_FREE:
            free.append(compressor)


@functools.cache
def get_libraries() -> dict[str, Library]:
    """Return what is installed, by its name, the best one last."""
    libraries = {"zlib": Library("zlib", zlib)}
    try:
        libraries["zlib-ng"] = Library("zlib-ng", importlib.import_module("zlib_ng.zlib_ng"))
    except ImportError:
        pass  # it is optional, and everything works without
    return libraries


@functools.cache
def get_library(keeps: bool = False) -> Library:
    """
    Return the library that is used in this process.

    Args:
        keeps: Whether it is for compressors of which each connection keeps one, not for such as go from one
            connection to the next, nor for inflating.

    Raises:
        ValueError: ``WS4PY_MIDDLEWARE_ZLIB`` names one that is not installed.
    """
    libraries = get_libraries()
    name = os.environ.get(_CHOICE) or ("zlib" if keeps else [*libraries][-1])
    if name not in libraries:
        raise ValueError(f"{_CHOICE} is {name!r}; it is one of {', '.join(libraries)}, which are installed")
    return libraries[name]
