"""
Parcels: messages as they travel through Redis.

======  =====================================================================================
bytes   what
======  =====================================================================================
1       the version, 1
1       1 is text, 2 is binary
8       the origin: which hub of which process has sent it, so that it knows its own
8       the number, which grows with every parcel of one origin: what is sent twice is seen
2       how many members are excluded, and for each of them: 1 byte of length, and the id
others  the payload as it is
======  =====================================================================================

Numbers are big endian. Nothing here is ever unpickled or evaluated: whoever can write to the Redis can put
anything there.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.utf8 import check_utf8
from ..exc import TextFrameEncodingException

__all__ = ["ORIGIN_SIZE", "Parcel", "pack_parcel", "unpack_parcel"]

_VERSION = 1
_TEXT, _BINARY = 1, 2
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
    kind = _TEXT if parcel.is_text else _BINARY
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
    if len(wire) < _HEAD or wire[0] != _VERSION or wire[1] not in (_TEXT, _BINARY):
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
    is_text = wire[1] == _TEXT
    payload = wire[position:]
    if is_text:
        try:
            check_utf8(payload)
        except TextFrameEncodingException as error:
            raise ValueError(str(error)) from None
    number = int.from_bytes(wire[number_at : number_at + 8], "big")
    return Parcel(wire[2:number_at], number, payload, is_text, tuple(exclude))


def _pack_id(member_id: str) -> bytes:
    try:
        packed = member_id.encode()
    except UnicodeEncodeError:
        return b""
    return bytes((len(packed),)) + packed if 0 < len(packed) <= _MAX_ID else b""
