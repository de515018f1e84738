"""
Packing: the bytes of one frame, :rfc:`6455#section-5.2`.

``packing.pyx`` is the same in C, where a frame is written once and not joined. What may be sent when is
not known here.
"""

from __future__ import annotations

import struct

from ..exc import FrameTooLargeException
from .masking import apply_mask
from .types import Buffer

__all__ = ["Batch", "give_batch", "pack", "pack_head", "take_batch"]

_pack_16 = struct.Struct("!BBH").pack
_pack_64 = struct.Struct("!BBQ").pack

#: What stands before small payloads of a server's messages, by first byte and size: a look-up, not a pack.
_HEADS = [
    [bytes((first, size)) for size in range(126)] if first in (0x81, 0x82) else [] for first in range(0x100)
]


def pack_head(first: int, size: int, mask_key: bytes | None = None) -> bytes:
    """
    Build what stands before a payload, the length in its shortest form.

    Args:
        first: The first byte: FIN, RSV1 to RSV3 and the opcode.
        size: The payload's length in bytes.
        mask_key: The four bytes that the payload is masked with; ``None`` for a server.

    Raises:
        FrameTooLargeException: The length needs more than 63 bits.
    """
    bit = 0 if mask_key is None else 0x80
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 0x10000:
        head = _pack_16(first, bit | 126, size)
    elif size < 0x8000000000000000:
        head = _pack_64(first, bit | 127, size)
    else:
        raise FrameTooLargeException(f"a payload of {size} bytes does not fit into one frame")
    return head if mask_key is None else head + mask_key


def pack(first: int, payload: Buffer, mask_key: bytes | None = None) -> bytes:
    """
    Build a frame.

    Args:
        first: As :func:`pack_head`.
        payload: The payload, unmasked.
        mask_key: As :func:`pack_head`.

    >>> pack(0x81, b"Hello").hex()
    '810548656c6c6f'
    """
    size = len(payload)
    if mask_key is not None:
        return pack_head(first, size, mask_key) + apply_mask(payload, mask_key)
    heads = _HEADS[first]
    if size < len(heads):
        return heads[size] + payload
    return b"".join((pack_head(first, size), payload))


class Batch:
    r"""
    Frames that leave together, not masked.

    >>> batch = take_batch()
    >>> batch.add(0x81, b"Hi"), batch.add(0x82, b""), batch.size
    (4, 2, 6)
    >>> batch.take()
    b'\x81\x02Hi\x82\x00'
    """

    __slots__ = ("_frames", "size")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        #: So many bytes are in it.
        self.size = 0

    def add(self, first: int, payload: bytes) -> int:
        """
        Append a frame.

        Args:
            first: Its first byte.
            payload: What is in it; a copy is made.

        Returns:
            How long it is.
        """
        size = len(payload)
        heads = _HEADS[first]
        # As pack(), which is not called for each small one.
        frame = heads[size] + payload if size < len(heads) else pack(first, payload)
        self._frames.append(frame)
        size = len(frame)
        self.size += size
        return size

    def take(self) -> bytes:
        """Return all frames, joined; none is left here."""
        frames, self._frames = self._frames, []
        self.size = 0
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def split(self) -> list[bytes]:
        """Return all frames, each by itself; none is left here."""
        frames, self._frames = self._frames, []
        self.size = 0
        return frames


# The one that was used last: most turns need one, and no two of them at a time.
_spare: list[Batch] = []


def take_batch() -> Batch:
    """Return an empty batch."""
    try:
        return _spare.pop()
    except IndexError:
        return Batch()


def give_batch(batch: Batch) -> None:
    """Take back a batch that is empty, for whoever needs the next one."""
    if not _spare:
        _spare.append(batch)
