"""What ``send()`` is given, turned into payloads."""

from __future__ import annotations

from typing import Any

from .core.utf8 import IncrementalUtf8, check_utf8
from .exc import TextFrameEncodingException
from .messaging import Message

__all__ = ["as_chunk", "check_piece", "check_text"]


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


def check_piece(utf8: IncrementalUtf8, piece: bytes, final: bool = False) -> None:
    """Check the next piece of a text, as :func:`check_text`."""
    try:
        utf8.feed(piece, final)
    except TextFrameEncodingException as error:
        raise _no_text(error) from None


def _no_text(error: TextFrameEncodingException) -> ValueError:
    return ValueError(f"{error}; send(data, binary=True) sends bytes that are not text")


def as_chunk(chunk: Any) -> bytes:
    """
    Turn one item of an iterable into the payload of a fragment.

    Raises:
        ValueError: It is neither str, bytes-like nor a message.
    """
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, Message):
        return chunk.data
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise ValueError(f"a fragment is str, bytes or a Message, not {type(chunk).__name__}")
