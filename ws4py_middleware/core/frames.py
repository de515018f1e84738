"""
Frames: building them, and the checks of their first bytes, :rfc:`6455#section-5.2`.

Pure functions. :mod:`.parser` and :mod:`ws4py_middleware.framing` both take the
rules from here.
"""

from __future__ import annotations

import struct

from ..exc import ProtocolException
from .packing import pack, pack_head
from .types import Buffer, CloseCode, Opcode
from .utf8 import check_utf8

__all__ = [
    "MAX_CONTROL_PAYLOAD",
    "check_close_code",
    "check_opcode",
    "is_close_code",
    "pack_close",
    "pack_frame",
    "pack_head",
    "unpack_close",
]

#: Payload of a control frame, at most: :rfc:`6455#section-5.5`.
MAX_CONTROL_PAYLOAD = 125

_OPCODES = frozenset(int(opcode) for opcode in Opcode)

_pack_code = struct.Struct("!H").pack


def check_opcode(opcode: int) -> None:
    """
    Check that an opcode is one of those that are defined.

    Raises:
        ProtocolException: It is reserved, :rfc:`6455#section-5.2`.
    """
    if opcode not in _OPCODES:
        raise ProtocolException(f"opcode {opcode:#x} is reserved")


def pack_frame(
    opcode: int,
    payload: Buffer,
    *,
    fin: bool = True,
    rsv1: bool = False,
    mask_key: bytes | None = None,
) -> bytes:
    """
    Build a frame.

    Args:
        opcode: An :class:`~.types.Opcode`.
        payload: The payload, unmasked.
        mask_key: Four random bytes on the client's side (:rfc:`6455#section-5.3`), else ``None``.

    >>> pack_frame(Opcode.TEXT, b"Hello").hex()
    '810548656c6c6f'
    """
    first = opcode
    if fin:
        first |= 0x80
    if rsv1:
        first |= 0x40
    return pack(first, payload, mask_key)


def is_close_code(code: int) -> bool:
    """Tell whether a close code may stand in a Close frame, :rfc:`6455#section-7.4`."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def check_close_code(code: int) -> None:
    """
    Check that a close code may be sent.

    Raises:
        ValueError: It is reserved or out of range.
    """
    if not is_close_code(code):
        raise ValueError(f"close code {code} may not be sent; use 1000, 1001, 1008, 1011 or 3000 to 4999")


def pack_close(code: int | None, reason: str = "") -> bytes:
    """
    Build the payload of a Close frame.

    Args:
        code: ``None`` or 1005 for a Close frame without a code.
        reason: Cut at a code point so that it fits into 123 bytes.

    Raises:
        ValueError: The code may not be sent.
    """
    if code is None or code == CloseCode.NO_STATUS_RECEIVED:
        return b""
    check_close_code(code)
    text = reason.encode()
    limit = MAX_CONTROL_PAYLOAD - 2
    if len(text) > limit:
        text = text[:limit].decode("utf-8", "ignore").encode()
    return _pack_code(code) + text


def unpack_close(payload: bytes) -> tuple[int, str]:
    """
    Read the payload of a Close frame, :rfc:`6455#section-5.5.1`.

    Returns:
        The code, 1005 when there is none, and the reason.

    Raises:
        ProtocolException: Half a code, or a code that may not be sent (1002).
        TextFrameEncodingException: The reason is not UTF-8 (1007).
    """
    if not payload:
        return int(CloseCode.NO_STATUS_RECEIVED), ""
    if len(payload) == 1:
        raise ProtocolException("a Close frame with half a close code")
    code = payload[0] << 8 | payload[1]
    if not is_close_code(code):
        raise ProtocolException(f"close code {code} may not be sent")
    reason = payload[2:]
    check_utf8(reason)
    return code, reason.decode()
