"""
Masking: XOR with a key of four bytes, :rfc:`6455#section-5.3`.

In pure Python two ways are fast, each in its range (measured): one XOR of two
big integers for small payloads, and ``translate`` on each of the payload's four
strides for all others.
"""

from __future__ import annotations

from .types import Buffer

__all__ = ["apply_mask", "rotate_key"]

#: From this length on, four translations beat one big integer.
_STRIDES_FROM = 512

#: ``_TABLES[k]`` maps each byte to its XOR with ``k``: 64 KiB, made once.
_TABLES = [bytes(i ^ k for i in range(256)) for k in range(256)]

_from_bytes = int.from_bytes


def apply_mask(data: Buffer, key: bytes) -> bytes:
    """
    Mask or unmask ``data``; it is the same operation.

    Args:
        data: Any number of bytes. Not modified.
        key: Exactly four bytes; ``key[0]`` belongs to ``data[0]``.

    >>> apply_mask(b"Hello", bytes.fromhex("37fa213d")).hex()
    '7f9f4d5158'
    """
    size = len(data)
    if size < _STRIDES_FROM:
        mask = (key * ((size + 3) >> 2))[:size]
        return (_from_bytes(data, "little") ^ _from_bytes(mask, "little")).to_bytes(size, "little")
    masked = bytearray(data)
    masked[0::4] = masked[0::4].translate(_TABLES[key[0]])
    masked[1::4] = masked[1::4].translate(_TABLES[key[1]])
    masked[2::4] = masked[2::4].translate(_TABLES[key[2]])
    masked[3::4] = masked[3::4].translate(_TABLES[key[3]])
    return bytes(masked)


def rotate_key(key: bytes, offset: int) -> bytes:
    """
    Return the key for bytes that begin ``offset`` bytes into a payload.

    >>> rotate_key(b"abcd", 5)
    b'bcda'
    """
    turn = offset & 3
    return key[turn:] + key[:turn]
