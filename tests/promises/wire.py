"""
What a client sends, as wrong as asked for.

Built from RFC 6455 sections 4.1 and 5.2 and RFC 7692 alone; nothing of the library that is being
tried is used.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import struct
import zlib
from collections.abc import Mapping

KiB = 1024
MiB = 1024 * 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    key: bytes = b"\x37\xfa\x21\x3d",
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """
    Build one frame, as wrong as asked for.

    Args:
        key: With four zeros masking changes nothing, which is quick.
        length: The length to announce; by default that of the payload.
        form: 7, 16 or 64: how many bits the length is written in; by default the fewest.
    """
    size = len(payload) if length is None else length
    form = form or (7 if size < 126 else 16 if size < 0x10000 else 64)
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        head += bytes([mask_bit | size])
    elif form == 16:
        head += struct.pack("!BH", mask_bit | 126, size)
    else:
        head += struct.pack("!BQ", mask_bit | 127, size)
    if not masked:
        return head + payload
    if any(key) and payload:
        stream = itertools.islice(itertools.cycle(key), len(payload))
        payload = bytes(byte ^ mask for byte, mask in zip(payload, stream, strict=True))
    return head + key + payload


NO_KEY = bytes(4)


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def deflate(data: bytes) -> bytes:
    """Compress as RFC 7692 section 7.2.1 says; within a window of 4 KiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12, 9)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def request(path: str, headers: Mapping[str, str | None] | None = None, method: str = "GET") -> bytes:
    """Build an opening handshake; ``None`` takes a header away."""
    fields: dict[str, str | None] = {
        "Host": "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")
