"""What ``send()`` is given, turned into payloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .core.utf8 import IncrementalUtf8, check_utf8
from .exc import TextFrameEncodingException
from .messaging import Message

__all__ = ["check_pieces", "check_text"]


def check_text(payload: bytes) -> None:
    """
    Check that a payload may be sent as text.

    Raises:
        ValueError: It is not UTF-8.
    """
    try:
        check_utf8(payload)
    except TextFrameEncodingException as error:
        raise _no_text(error) from None


def check_pieces(chunks: Iterable[Any], is_text: bool) -> Iterator[bytes]:
    """
    Turn the items of an iterable into the payloads of fragments, one by one.

    A code point of a text may be cut anywhere.

    Raises:
        ValueError: An item is neither str, bytes-like nor a message; or all of them
            together are to be text, and are not UTF-8.
    """
    utf8 = IncrementalUtf8() if is_text else None
    try:
        for chunk in chunks:
            piece = _as_piece(chunk)
            if utf8 is not None:
                utf8.feed(piece)
            yield piece
        if utf8 is not None:
            utf8.feed(b"", final=True)
    except TextFrameEncodingException as error:
        raise _no_text(error) from None


def _no_text(error: TextFrameEncodingException) -> ValueError:
    return ValueError(f"{error}; send(data, binary=True) sends bytes that are not text")


def _as_piece(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, Message):
        return chunk.data
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise ValueError(f"a fragment is str, bytes or a Message, not {type(chunk).__name__}")
