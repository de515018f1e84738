"""
One frame, under ws4py's names, :rfc:`6455#section-5.2`.

For tests, tools and whoever works on the level of frames. Connections parse
with :mod:`.core.parser`, whole reads at a time; the rules are the same.
"""

from __future__ import annotations

from collections.abc import Generator

from .core.frames import MAX_CONTROL_PAYLOAD, check_opcode, pack_head
from .core.masking import apply_mask
from .core.types import Buffer, Opcode
from .exc import FrameTooLargeException, ProtocolException

__all__ = [
    "OPCODE_BINARY",
    "OPCODE_CLOSE",
    "OPCODE_CONTINUATION",
    "OPCODE_PING",
    "OPCODE_PONG",
    "OPCODE_TEXT",
    "Frame",
]

OPCODE_CONTINUATION = int(Opcode.CONTINUATION)
OPCODE_TEXT = int(Opcode.TEXT)
OPCODE_BINARY = int(Opcode.BINARY)
OPCODE_CLOSE = int(Opcode.CLOSE)
OPCODE_PING = int(Opcode.PING)
OPCODE_PONG = int(Opcode.PONG)


class Frame:
    """
    A frame to build, or one that is being parsed.

    Args:
        opcode: One of ``OPCODE_*``.
        body: The payload; only bytes, as text has to be encoded first.
        masking_key: Four bytes that :meth:`build` masks the payload with, or ``None``.
        fin: 1 on the last frame of a message.
        rsv1: Reserved, as are ``rsv2`` and ``rsv3``. They are built as they are
            given; the parser refuses them, for a bare frame has no extensions.

    The arguments are attributes too, all of them writable: :meth:`build` builds
    what they say, also frames that no peer should send. ``payload_length`` is the
    length that is written, which need not be that of ``body``.

    Raises:
        TypeError: ``body`` is not bytes.

    >>> frame = Frame(OPCODE_TEXT, b"Hello", masking_key=bytes.fromhex("37fa213d"), fin=1)
    >>> wire = frame.build()
    >>> wire.hex()
    '818537fa213d7f9f4d5158'
    >>> frame = Frame()
    >>> [frame.parser.send(wire[:1]), frame.parser.send(wire[1:2]), frame.parser.send(wire[2:6])]
    [1, 4, 5]
    >>> frame.parser.send(wire[6:]), frame.unmask(frame.body)
    (None, bytearray(b'Hello'))
    """

    def __init__(
        self,
        opcode: int | None = None,
        body: bytes = b"",
        masking_key: Buffer | None = None,
        fin: int = 0,
        rsv1: int = 0,
        rsv2: int = 0,
        rsv3: int = 0,
    ) -> None:
        _check_body(body)
        self.opcode = opcode
        self.body = body
        self.masking_key = masking_key
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3
        self.payload_length = len(body)
        #: What was sent to :attr:`parser` beyond the end of the frame; it belongs to the next one.
        self.rest = b""
        self._parser: Generator[int | None, Buffer | None, None] | None = None

    @property
    def parser(self) -> Generator[int | None, Buffer | None, None]:
        """
        A generator that takes the frame's bytes and yields how many it wants next.

        ``send()`` it any number of bytes. Those that it asks for are the rest of
        what it is about to read (the two bytes of the head one by one, the longer
        length, the mask key, the payload), so whoever sends just these never reads
        into the next frame. Other splits give the same frame, and bytes beyond its
        end are kept in :attr:`rest`. The attributes are set as their bytes come;
        while a length of 16 or 64 bits is not complete, ``payload_length`` is 126
        or 127. When the frame is complete the generator yields ``None`` and then
        ends. ``body`` is as it stood on the wire: :meth:`unmask` it when there is
        a ``masking_key``.

        A bare frame knows no limit of size: it asks for what the head announces and
        stores what it is sent.

        Raises:
            ProtocolException: A reserved bit or opcode, a control frame that is a
                fragment, or a length that is not in its shortest form.
            FrameTooLargeException: A control frame of more than 125 bytes, or a
                length of more than 63 bits. ``close_code`` is 1002 in both cases.

        After an error the generator has ended.
        """
        if self._parser is None:
            self._parser = self._parse()
            next(self._parser)
        return self._parser

    def build(self) -> bytes:
        """
        Build the frame from the attributes.

        Raises:
            ValueError: ``fin`` or a reserved bit is neither 0 nor 1, the opcode is
                reserved or missing, or the mask key is not four bytes long.
            FrameTooLargeException: The length needs more than 63 bits.
        """
        bits = self.fin, self.rsv1, self.rsv2, self.rsv3
        if not all(bit in (0, 1) for bit in bits):
            raise ValueError(f"FIN and RSV1 to RSV3 are bits, not {bits}")
        if self.opcode is None:
            raise ValueError("a frame needs an opcode")
        try:
            check_opcode(self.opcode)
        except ProtocolException as error:
            raise ValueError(str(error)) from None
        _check_body(self.body)
        first = self.fin << 7 | self.rsv1 << 6 | self.rsv2 << 5 | self.rsv3 << 4 | self.opcode
        if not self.masking_key:
            return pack_head(first, self.payload_length) + self.body
        key = self._key()
        return pack_head(first, self.payload_length, key) + apply_mask(self.body, key)

    def mask(self, data: Buffer) -> bytearray:
        """
        Mask or unmask ``data`` with ``masking_key``; it is the same operation.

        Raises:
            ValueError: There is no mask key of four bytes.

        Spec: :rfc:`6455#section-5.3`.
        """
        return bytearray(apply_mask(data, self._key()))

    unmask = mask

    def _key(self) -> bytes:
        key = b"" if self.masking_key is None else bytes(self.masking_key)
        if len(key) != 4:
            raise ValueError(f"a mask key has four bytes, not {len(key)}")
        return key

    def _cleanup(self) -> None:
        """End the parser; the next use of :attr:`parser` begins a new one."""
        if self._parser is not None:
            self._parser.close()
            self._parser = None

    def _parse(self) -> Generator[int | None, Buffer | None, None]:
        buffer = bytearray()
        (first,) = yield from _take(buffer, 1)
        self.fin = first >> 7
        self.rsv1 = first >> 6 & 1
        self.rsv2 = first >> 5 & 1
        self.rsv3 = first >> 4 & 1
        self.opcode = first & 0x0F
        is_control = self.opcode >= OPCODE_CLOSE
        # "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
        if first & 0x70:
            raise ProtocolException("a reserved bit is set")
        check_opcode(self.opcode)
        # "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
        if is_control and not self.fin:
            raise ProtocolException("a control frame is fragmented")

        (second,) = yield from _take(buffer, 1)
        self.payload_length = second & 0x7F
        if is_control and self.payload_length > MAX_CONTROL_PAYLOAD:
            raise _too_large(f"a control frame has more than {MAX_CONTROL_PAYLOAD} bytes")
        if self.payload_length >= 126:
            size, shortest = (2, 126) if self.payload_length == 126 else (8, 0x10000)
            self.payload_length = int.from_bytes((yield from _take(buffer, size)), "big")
            # "The most significant bit MUST be 0"; "the minimal number of bytes MUST be used".
            if self.payload_length >= 1 << 63:
                raise _too_large("the length has more than 63 bits")
            if self.payload_length < shortest:
                raise ProtocolException(f"the length {self.payload_length} is not in its shortest form")
        if second & 0x80:
            self.masking_key = yield from _take(buffer, 4)
        self.body = yield from _take(buffer, self.payload_length)
        self.rest = bytes(buffer)
        # Whoever sends once more, to see the generator end, loses nothing either.
        more = yield None
        if more:
            self.rest += more


def _take(buffer: bytearray, size: int) -> Generator[int, Buffer | None, bytes]:
    """Wait until ``size`` bytes are there and take them from the buffer."""
    while len(buffer) < size:
        data = yield size - len(buffer)
        if data:
            buffer += data
    taken = bytes(memoryview(buffer)[:size])
    del buffer[:size]
    return taken


def _check_body(body: bytes) -> None:
    if not isinstance(body, bytes):
        raise TypeError(f"the body of a frame is bytes, not {type(body).__name__}; encode text first")


def _too_large(message: str) -> FrameTooLargeException:
    # ws4py's class for it; but to the peer it is an error of framing, not a message that is too big.
    error = FrameTooLargeException(message)
    error.close_code = 1002
    return error
