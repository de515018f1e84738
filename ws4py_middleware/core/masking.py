"""
Masking: XOR with a key of four bytes, :rfc:`6455#section-5.3`.

``masking.pyx`` is the same in C, eight bytes and more at a time. In pure Python three
ways are fast, each in its range (measured): one XOR of two integers for small payloads;
for all others ``translate`` on each of the payload's four strides, but on PyPy, whose
``translate`` takes 20 times as long, a loop over words, of which it makes machine code.
"""

from __future__ import annotations

import sys
from array import array

from .types import Buffer

__all__ = ["apply_mask", "rotate_key", "unmask", "unmask_in_place"]

#: ``_TABLES[k]`` maps each byte to its XOR with ``k``: 64 KiB, made once.
_TABLES = [bytes(i ^ k for i in range(256)) for k in range(256)]

_from_bytes = int.from_bytes


def mask_by_strides(data: Buffer, key: bytes) -> bytes:
    """Mask each fourth byte with the same byte of the key, by a table."""
    masked = bytearray(data)
    masked[0::4] = masked[0::4].translate(_TABLES[key[0]])
    masked[1::4] = masked[1::4].translate(_TABLES[key[1]])
    masked[2::4] = masked[2::4].translate(_TABLES[key[2]])
    masked[3::4] = masked[3::4].translate(_TABLES[key[3]])
    return bytes(masked)


def mask_by_words(data: Buffer, key: bytes) -> bytes:
    """Mask four bytes at a time; eight would be big integers to PyPy, and ten times slower."""
    size = len(data)
    words = array("I", bytes(data) + bytes(-size & 3))
    mask = _from_bytes(key, sys.byteorder)
    for i in range(len(words)):
        words[i] ^= mask
    return words.tobytes()[:size]


#: What beats one integer, and from which length on.
_mask_long, _LONG_FROM = (mask_by_words, 8) if sys.implementation.name == "pypy" else (mask_by_strides, 512)


def apply_mask(data: Buffer, key: bytes) -> bytes:
    """
    Mask or unmask ``data``; it is the same operation.

    Args:
        data: Any number of bytes. Not modified.
        key: Exactly four bytes; ``key[0]`` belongs to ``data[0]``.

    Raises:
        ValueError: The key has another length.

    >>> apply_mask(b"Hello", bytes.fromhex("37fa213d")).hex()
    '7f9f4d5158'
    """
    if len(key) != 4:
        raise ValueError(f"a mask key has four bytes, not {len(key)}")
    size = len(data)
    if size < _LONG_FROM:
        mask = (key * ((size + 3) >> 2))[:size]
        return (_from_bytes(data, "little") ^ _from_bytes(mask, "little")).to_bytes(size, "little")
    return _mask_long(data, key)


def unmask(data: bytes, start: int, stop: int) -> bytes:
    """
    Return ``data[start:stop]`` unmasked; the key is in the four bytes before it.

    Raises:
        ValueError: These are not four bytes and a payload within ``data``.

    >>> unmask(bytes.fromhex("818537fa213d7f9f4d5158"), 6, 11)
    b'Hello'
    """
    if not 4 <= start <= stop <= len(data):
        raise ValueError(f"there is no payload from {start} to {stop} in {len(data)} bytes")
    payload = data[start:stop]
    size = stop - start
    key = data[start - 4 : start]
    if size < _LONG_FROM:
        mask = (key * ((size + 3) >> 2))[:size]
        return (_from_bytes(payload, "little") ^ _from_bytes(mask, "little")).to_bytes(size, "little")
    return _mask_long(payload, key)


def unmask_in_place(room: bytearray | memoryview, start: int, stop: int, key: bytes) -> None:
    """
    Unmask ``room[start:stop]``, where it is.

    Args:
        room: Writable bytes.
        start: Where ``key[0]`` belongs.
        stop: Where it ends.
        key: Four bytes.

    Raises:
        ValueError: There is no such part.
    """
    if not 0 <= start <= stop <= len(room):
        raise ValueError(f"there is nothing from {start} to {stop} in {len(room)} bytes")
    room[start:stop] = apply_mask(room[start:stop], key)


def rotate_key(key: bytes, offset: int) -> bytes:
    """
    Return the key for bytes that begin ``offset`` bytes into a payload.

    >>> rotate_key(b"abcd", 5)
    b'bcda'
    """
    turn = offset & 3
    return key[turn:] + key[:turn]
