"""
What a stream of bytes means, told slowly.

A second reading of RFC 6455 section 5 and RFC 7692, without any code of the
package, without state between calls, and always from the first byte on. The
fuzzers hold the parser against it.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

Value = tuple[object, ...]


class Limits(NamedTuple):
    """The limits of a policy that concern the parser."""

    message_size: int = 1 << 20
    fragments: int = 4096
    controls: int = 1024


#: More deflate streams than this in one frame are an attack, not a message.
MAX_STREAMS = 64


class Outcome(NamedTuple):
    """The events of a stream, and the close code of its first fault, or ``None``."""

    events: list[Value]
    code: int | None


class Fault(Exception):
    """The stream is to be failed with this close code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Incomplete(Exception):
    """The bytes end here, and nothing is wrong so far."""


def read_stream(wire: bytes, *, masked: bool, deflate: bool, limits: Limits) -> Outcome:
    """Read a whole stream."""
    reader = Reader(wire, masked, deflate, limits)
    try:
        while reader.read_frame():
            pass
    except Fault as fault:
        return Outcome(reader.events, fault.code)
    except Incomplete:
        return Outcome(reader.events, None)
    return Outcome(reader.events, None)


class Reader:
    """Reads frames up to the first fault, to a Close frame, or to where the bytes end."""

    def __init__(self, wire: bytes, masked: bool, deflate: bool, limits: Limits) -> None:
        self.wire = wire
        self.position = 0
        self.masked = masked
        self.deflate = deflate
        self.limits = limits
        self.events: list[Value] = []
        self.controls = 0
        self.opcode = 0  # of the message that is not complete; 0: none
        self.compressed = False
        self.pieces: list[bytes] = []
        self.inflater = zlib.decompressobj(-15)
        #: Whether the inflater is inside a stream that this message has begun or gone on with.
        self.in_block = False

    def take(self, size: int) -> bytes:
        if len(self.wire) - self.position < size:
            raise Incomplete
        self.position += size
        return self.wire[self.position - size : self.position]

    def read_frame(self) -> bool:
        """Read a frame; return whether others may follow."""
        first, second = self.take(2)
        fin, rsv, opcode = first >> 7, first >> 4 & 7, first & 15
        self.check_head(fin, rsv, opcode, second)
        size = second & 127
        if size == 126:
            size = int.from_bytes(self.take(2), "big")
            if size <= 125:
                raise Fault(1002)
        elif size == 127:
            size = int.from_bytes(self.take(8), "big")
            if size >= 1 << 63 or size <= 0xFFFF:
                raise Fault(1002)
        if opcode < 8:
            self.check_limits(fin, size)
        key = self.take(4) if self.masked else b"\0\0\0\0"
        start = self.position
        complete = len(self.wire) - start >= size
        masked = self.wire[start : start + size]
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(masked))
        self.position += len(masked)
        if opcode >= 8:
            if not complete:
                raise Incomplete
            return self.take_control(opcode, payload)
        self.take_data(fin, rsv, opcode, payload, complete)
        return True

    def check_head(self, fin: int, rsv: int, opcode: int, second: int) -> None:
        faults = (
            rsv & 3,
            rsv and not (self.deflate and opcode in (1, 2)),
            opcode not in (0, 1, 2, 8, 9, 10),
            (second >> 7) != self.masked,
            opcode >= 8 and not fin,
            opcode >= 8 and second & 127 > 125,
            opcode in (1, 2) and self.opcode,
            opcode == 0 and not self.opcode,
        )
        if any(faults):
            raise Fault(1002)

    def check_limits(self, fin: int, size: int) -> None:
        before = sum(map(len, self.pieces)) if self.opcode and not self.compressed else 0
        if size > self.limits.message_size or before + size > self.limits.message_size:
            raise Fault(1009)
        only_ends = fin and not size
        if self.opcode and len(self.pieces) >= self.limits.fragments and not only_ends:
            raise Fault(1009)

    def take_control(self, opcode: int, payload: bytes) -> bool:
        if opcode == 8:
            self.events.append(self.read_close(payload))
            return False
        self.controls += 1
        if self.controls > self.limits.controls:
            raise Fault(1008)
        self.events.append(("ping" if opcode == 9 else "pong", payload))
        return True

    @staticmethod
    def read_close(payload: bytes) -> Value:
        if not payload:
            return "close", 1005, ""
        if len(payload) == 1:
            raise Fault(1002)
        code = int.from_bytes(payload[:2], "big")
        registered = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
        if code not in registered and not 3000 <= code <= 4999:
            raise Fault(1002)
        try:
            return "close", code, payload[2:].decode()
        except UnicodeDecodeError:
            raise Fault(1007) from None

    def take_data(self, fin: int, rsv: int, opcode: int, payload: bytes, complete: bool) -> None:
        self.controls = 0
        if opcode:
            self.opcode, self.compressed, self.pieces = opcode, bool(rsv), []
        if self.compressed:
            if not complete:
                raise Incomplete
            payload = self.inflate(payload, fin)
        self.pieces.append(payload)
        data = b"".join(self.pieces)
        if self.opcode == 1 and not could_be_text(data):
            raise Fault(1007)
        if not complete:
            raise Incomplete
        if fin:
            if self.opcode == 1 and not is_text(data):
                raise Fault(1007)
            self.events.append(("text" if self.opcode == 1 else "binary", data))
            self.opcode = 0

    def inflate(self, data: bytes, fin: int) -> bytes:
        if fin and (data or self.in_block):
            data += b"\0\0\xff\xff"
        room = self.limits.message_size - sum(map(len, self.pieces))
        inflated = b""
        streams = 0
        while data:
            try:
                inflated += self.inflater.decompress(data, room + 1 - len(inflated))
            except zlib.error:
                raise Fault(1007) from None
            if len(inflated) > room:
                raise Fault(1009)
            self.in_block = not self.inflater.eof
            if self.in_block:
                break
            # A block with BFINAL ends the deflate stream; the next one begins behind it.
            data = self.inflater.unused_data
            self.inflater = zlib.decompressobj(-15)
            streams += 1
            if streams > MAX_STREAMS:
                raise Fault(1007)
            if fin and len(data) == 4:
                break
        self.in_block = self.in_block and not fin
        return inflated


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def could_be_text(data: bytes) -> bool:
    """Tell whether some continuation makes this UTF-8, by trying what is missing of the last code point."""
    if is_text(data):
        return True
    for cut in (1, 2, 3):
        head, tail = data[:-cut], data[-cut:]
        if len(data) >= cut and is_text(head) and any(is_text(tail + more) for more in _MORE):
            return True
    return False


#: For each start of a code point, one of these completes it, if anything does.
_MORE = [bytes(more) for low in (0x80, 0x90, 0xA0) for more in ((low,), (low, 0x80), (low, 0x80, 0x80))]
