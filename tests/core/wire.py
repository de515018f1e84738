"""
Frames for tests, written down from the drawing in RFC 6455 section 5.2.

Slow and simple on purpose, and without any code of the package: what the tests
expect must not come from what they test.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ws4py_middleware.core.events import CloseReceived, Event, MessageReceived, PingReceived, PongReceived

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: The mask key of the examples in RFC 6455 section 5.7.
KEY = bytes.fromhex("37fa213d")


def joined(data: Any) -> bytes:
    """Return what is given to the network in one buffer or in several."""
    return b"".join(data) if isinstance(data, list) else bytes(data)


def build_head(opcode: int, size: int, *, fin: bool = True, rsv: int = 0, key: bytes | None = None) -> bytes:
    """Build a frame's header; ``rsv`` is 4 for RSV1, 2 for RSV2, 1 for RSV3."""
    head = bytearray([fin << 7 | rsv << 4 | opcode])
    mask = 0 if key is None else 0x80
    if size <= 125:
        head.append(mask | size)
    elif size <= 0xFFFF:
        head.append(mask | 126)
        head += size.to_bytes(2, "big")
    else:
        head.append(mask | 127)
        head += size.to_bytes(8, "big")
    return bytes(head) + (key or b"")


def build_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes | None = None
) -> bytes:
    """Build a frame: "octet i of the transformed data is the XOR of octet i and octet i mod 4 of the key"."""
    head = build_head(opcode, len(payload), fin=fin, rsv=rsv, key=key)
    if key is not None:
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return head + payload


def build_close(code: int, reason: bytes = b"", *, key: bytes | None = None) -> bytes:
    """Build a Close frame."""
    return build_frame(CLOSE, code.to_bytes(2, "big") + reason, key=key)


def read_frames(wire: bytes) -> Iterator[tuple[int, bytes]]:
    """Read complete frames: the first byte and the unmasked payload of each."""
    while wire:
        size, start = wire[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(wire[2 : 2 + width], "big"), 2 + width
        key = b"\0\0\0\0"
        if wire[1] & 0x80:
            key, start = wire[start : start + 4], start + 4
        payload = wire[start : start + size]
        assert len(payload) == size, "the last frame is not complete"
        yield wire[0], bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        wire = wire[start + size :]


def describe(event: Event) -> tuple[object, ...]:
    """Turn an event into a value that can be compared."""
    if isinstance(event, MessageReceived):
        assert type(event.data) is bytes
        return "text" if event.is_text else "binary", event.data
    if isinstance(event, CloseReceived):
        return "close", event.code, event.reason
    assert isinstance(event, PingReceived | PongReceived)
    assert type(event.data) is bytes
    return "ping" if isinstance(event, PingReceived) else "pong", event.data


def cut(wire: bytes, *positions: int) -> list[bytes]:
    """Cut bytes at these positions."""
    borders = [0, *sorted(positions), len(wire)]
    return [wire[start:stop] for start, stop in itertools.pairwise(borders)]
