"""
Assembly: a payload that comes in pieces and becomes one bytes object.

Pieces are unmasked as they come, and checked to be UTF-8 when they are text. ``assembly.pyx`` is the same in
C: there the pieces are written where the finished payload is, which is not copied again.
"""

from __future__ import annotations

from .masking import apply_mask, rotate_key, unmask_in_place
from .utf8 import IncrementalUtf8

__all__ = ["Assembly"]

#: Beside what has come, so much at most is taken ahead of what will come.
_STEP = 64 * 1024


class Assembly:
    r"""
    The pieces of one payload.

    Args:
        is_text: Refuse what is not UTF-8, at its first wrong byte.

    Whatever takes bytes raises :class:`~ws4py_middleware.exc.TextFrameEncodingException` then, and
    :class:`BufferError` while somebody holds the memory of :meth:`get_room`.

    >>> assembly = Assembly(True)
    >>> assembly.append_masked(bytes.fromhex("818537fa213d7f9f"), 6, 8, b"\x37\xfa\x21\x3d", 0, 3)
    >>> assembly.append(b"llo")
    >>> assembly.finish()
    b'Hello'
    """

    __slots__ = ("_data", "_room", "_utf8")

    def __init__(self, is_text: bool) -> None:
        self._data = bytearray()
        self._room = 0  # so many bytes at the end have not come yet
        self._utf8 = IncrementalUtf8() if is_text else None

    def __len__(self) -> int:
        return len(self._data) - self._room

    def append(self, data: bytes) -> None:
        """Add bytes as they are."""
        self._drop_room()
        if self._utf8 is not None:
            self._utf8.feed(data)
        self._data += data

    def append_masked(
        self, data: bytes, start: int, stop: int, key: bytes, offset: int, remaining: int
    ) -> None:
        """
        Add ``data[start:stop]``, unmasked.

        Args:
            data: What was read.
            start: Where the piece begins in it.
            stop: Where it ends.
            key: The mask key; empty when nothing is masked.
            offset: How many bytes were unmasked with the key before.
            remaining: How many more are announced, for which memory may be taken ahead.

        Raises:
            ValueError: There is no such piece.
        """
        if not 0 <= start <= stop <= len(data):
            raise ValueError(f"there is no piece from {start} to {stop} in {len(data)} bytes")
        piece = data[start:stop]
        self.append(apply_mask(piece, rotate_key(key, offset)) if key else piece)

    def get_room(self, size: int, remaining: int) -> memoryview:
        """
        Return memory for what comes next, which is to be let go of before anything else is done.

        Args:
            size: How much is asked for at most.
            remaining: How many bytes are announced. Beyond what has come, 64 KiB and so much again is taken.
        """
        self._drop_room()
        room = min(size, remaining, _STEP)
        start = len(self._data)
        self._data += bytes(room)
        self._room = room
        return memoryview(self._data)[start:]

    def room_filled(self, size: int, key: bytes, offset: int) -> None:
        """
        Note that the first ``size`` bytes of :meth:`get_room` have come.

        Args:
            size: So many bytes.
            key: As for :meth:`append_masked`.
            offset: The same.

        Raises:
            ValueError: There was not so much room.
        """
        if not 0 <= size <= self._room:
            raise ValueError(f"{size} bytes have come, into room for {self._room}")
        start = len(self)
        stop = start + size
        del self._data[stop:]
        self._room = 0
        if key:
            unmask_in_place(self._data, start, stop, rotate_key(key, offset))
        if self._utf8 is not None:
            self._utf8.feed(self._data[start:])

    def get_part(self, start: int) -> bytes:
        """Return what has come, from ``start`` on."""
        return bytes(self._data[start : len(self)])

    def finish(self) -> bytes:
        """Return the payload, when it is complete; nothing is left here."""
        self._drop_room()
        if self._utf8 is not None:
            self._utf8.feed(b"", True)
        data, self._data = self._data, bytearray()
        return bytes(data)

    def _drop_room(self) -> None:
        if self._room:
            del self._data[len(self) :]
            self._room = 0
