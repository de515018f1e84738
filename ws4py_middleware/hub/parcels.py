"""
Parcels: messages as they travel through Redis.

======  =====================================================================================
bytes   what
======  =====================================================================================
1       the version, 1
1       1 is text, 2 is binary; 16 more when members of its process had it before it was sent
8       the origin: which hub of which process has sent it, so that it knows its own
8       the number, which grows with every parcel of one origin: what is sent twice is seen
2       how many members are excluded, and for each of them: 1 byte of length, and the id
others  the payload as it is
======  =====================================================================================

What comes from a room with a history has its place there in front: 1 byte, 2; 1 byte of length, and the id.

Numbers are big endian. Nothing here is ever unpickled or evaluated: whoever can write to the Redis can put
anything there.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.utf8 import check_utf8
from ..exc import TextFrameEncodingException

__all__ = [
    "ORIGIN_SIZE",
    "Parcel",
    "mark_late",
    "pack_parcel",
    "renumber",
    "split_place",
    "unpack_parcel",
]

_VERSION, _PLACED = 1, 2
_TEXT, _BINARY, _LATE = 1, 2, 16
#: Bytes of an origin.
ORIGIN_SIZE = 8
_HEAD = 2 + ORIGIN_SIZE + 8 + 2
_MAX_ID = 255
_MAX_EXCLUDED = 0xFFFF


class Parcel(NamedTuple):
    """One message, and where it comes from."""

    origin: bytes
    number: int
    payload: bytes
    is_text: bool
    exclude: tuple[str, ...] = ()
    #: Whether members of its process had it before it was sent.
    is_late: bool = False


def pack_parcel(parcel: Parcel) -> bytes:
    r"""
    Pack a message.

    An excluded id that no member can have is left out.

    Raises:
        ValueError: More than 65,535 members are excluded.

    >>> pack_parcel(Parcel(b"8 bytes!", 1, b"hello", True))
    b'\x01\x018 bytes!\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00hello'
    """
    ids = [one for one in map(_pack_id, parcel.exclude) if one]
    if len(ids) > _MAX_EXCLUDED:
        raise ValueError(
            f"at most {_MAX_EXCLUDED} members can be excluded in other processes, not {len(ids)}"
        )
    kind = (_TEXT if parcel.is_text else _BINARY) + (_LATE if parcel.is_late else 0)
    head = bytes((_VERSION, kind)) + parcel.origin + parcel.number.to_bytes(8, "big")
    return b"".join((head, len(ids).to_bytes(2, "big"), *ids, parcel.payload))


def unpack_parcel(wire: bytes, max_message_size: int | None) -> Parcel:
    """
    Unpack a message, and check all of it.

    Args:
        max_message_size: Most bytes of its payload.

    Raises:
        ValueError: It is no parcel of this version, its payload is too long, or it is text and not UTF-8.
    """
    if len(wire) < _HEAD or wire[0] != _VERSION or wire[1] & ~_LATE not in (_TEXT, _BINARY):
        raise ValueError("no parcel of a known version and type")
    number_at = 2 + ORIGIN_SIZE
    position = _HEAD
    exclude = []
    for _ in range(int.from_bytes(wire[_HEAD - 2 : _HEAD], "big")):
        size = wire[position] if position < len(wire) else 0
        position += 1
        one = wire[position : position + size]
        position += size
        if not size or position > len(wire):
            raise ValueError("an excluded id is cut off, or empty")
        exclude.append(one.decode())  # a UnicodeDecodeError is a ValueError
    if max_message_size is not None and len(wire) - position > max_message_size:
        raise ValueError(f"a payload of {len(wire) - position} bytes, where {max_message_size} are allowed")
    is_text = wire[1] & ~_LATE == _TEXT
    payload = wire[position:]
    if is_text:
        try:
            check_utf8(payload)
        except TextFrameEncodingException as error:
            raise ValueError(str(error)) from None
    number = int.from_bytes(wire[number_at : number_at + 8], "big")
    return Parcel(wire[2:number_at], number, payload, is_text, tuple(exclude), bool(wire[1] & _LATE))


def mark_late(wire: bytes) -> bytes:
    """Note in a packed message that members of its process have it already."""
    return wire[:1] + bytes((wire[1] | _LATE,)) + wire[2:]


def renumber(wire: bytes, number: int) -> bytes:
    """Give a packed message another number."""
    at = 2 + ORIGIN_SIZE
    return wire[:at] + number.to_bytes(8, "big") + wire[at + 8 :]


def split_place(wire: bytes) -> tuple[str | None, bytes]:
    r"""
    Return the id that a message has in a history, and the message; ``None`` when it has none.

    Raises:
        ValueError: The id is cut off, or is none.

    >>> split_place(b"\x02\x0417-0...")
    ('17-0', b'...')
    """
    if wire[:1] != bytes((_PLACED,)):
        return None, wire
    end = 2 + wire[1] if len(wire) > 1 else 0
    id = wire[2:end].decode("ascii")  # a UnicodeDecodeError is a ValueError
    if not id or end > len(wire):
        raise ValueError("an id is cut off, or empty")
    return id, wire[end:]


def _pack_id(member_id: str) -> bytes:
    try:
        packed = member_id.encode()
    except UnicodeEncodeError:
        return b""
    return bytes((len(packed),)) + packed if 0 < len(packed) <= _MAX_ID else b""
