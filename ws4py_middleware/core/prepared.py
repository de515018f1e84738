"""A message that is framed once and sent to many."""

from __future__ import annotations

from collections.abc import Hashable

from .types import Buffer

__all__ = ["Frame", "PreparedMessage"]

#: What is sent as one: the bytes of a frame, or head and payload of a large one.
Frame = bytes | tuple[bytes, bytes]


class PreparedMessage:
    """
    The payload of one message, and the frames that were built of it.

    Connections put a frame here under a key of what it depends on, their side
    and their extension's parameters, and find it there when the next one of the
    same kind asks.

    Args:
        data: The payload; text is UTF-8 already.
        is_text: Whether it is text.
    """

    __slots__ = ("data", "frame", "frames", "is_text", "relayed")

    def __init__(self, data: Buffer, is_text: bool) -> None:
        self.data = data
        self.is_text = is_text
        self.frames: dict[Hashable, Frame] = {}
        #: The one for servers without an extension, which most are.
        self.frame: Frame | None = None
        #: The same for connections that are relayed, whose messages are not framed here.
        self.relayed: object = None

    def __len__(self) -> int:
        return len(self.data)
