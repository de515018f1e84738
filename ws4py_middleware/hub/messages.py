"""What goes to many, checked and made ready once."""

from __future__ import annotations

from ..core.prepared import PreparedMessage
from ..core.utf8 import check_utf8
from ..exc import TextFrameEncodingException
from ..messaging import Message

__all__ = ["prepare"]


def prepare(message: object, binary: bool = True) -> PreparedMessage:
    """
    Prepare a message for many.

    Args:
        binary: Whether bytes are binary; ws4py's ``broadcast()`` sends them as text.

    Raises:
        TypeError: It is neither str, bytes nor a message of data.
        ValueError: It is to be text and is not UTF-8; every peer would fail its connection.
    """
    if isinstance(message, str):
        return PreparedMessage(message.encode(), True)
    if isinstance(message, bytes | bytearray | memoryview):
        return _prepare_bytes(bytes(message), not binary)
    if isinstance(message, Message) and (message.is_text or message.is_binary):
        if message.completed:  # it was received, and checked then
            return PreparedMessage(message.data, message.is_text)
        return _prepare_bytes(message.data, message.is_text)
    raise TypeError(f"a message is str, bytes, TextMessage or BinaryMessage, not {type(message).__name__}")


def _prepare_bytes(data: bytes, is_text: bool) -> PreparedMessage:
    if is_text:
        try:
            check_utf8(data)
        except TextFrameEncodingException as error:
            raise ValueError(str(error)) from None
    return PreparedMessage(data, is_text)
