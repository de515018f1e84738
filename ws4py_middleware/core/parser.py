"""
The parser: bytes in, messages and control frames out.

Everything that can be refused is refused in the header step, before a byte of
the payload is stored. A frame that is not complete yet gives what it has: its
payload is unmasked, and checked to be UTF-8, as it comes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ..exc import FrameTooLargeException, PolicyViolation, ProtocolException, WebSocketException
from .counts import Counts
from .events import CloseReceived, Event, MessageReceived, PingReceived, PongReceived
from .frames import MAX_CONTROL_PAYLOAD, check_opcode, unpack_close
from .masking import apply_mask, rotate_key
from .policy import Policy
from .types import Buffer, Side
from .utf8 import IncrementalUtf8, check_utf8

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = ["Parser"]

_unpack_16 = struct.Struct("!H").unpack_from
_unpack_64 = struct.Struct("!Q").unpack_from

#: What an event costs beside its payload, about.
_EVENT_COST = 128


class Parser:
    r"""
    Turn the bytes of one direction into events.

    Any split of the stream gives the same events, and nothing is ever dropped:
    what is not understood yet is kept for the next call. When the peer breaks a
    rule, :attr:`error` is set, the events before it are still returned, and no
    further byte is taken.

    Args:
        side: Who is parsing; a server requires masks, a client refuses them.
        policy: Its limits on frames, messages, fragments and control frames.
        extension: What RSV1 stands for; ``None`` when it is refused.

    Spec: :rfc:`6455#section-5.2` framing, §5.4 fragments, §5.5 control frames, §10.4 limits.

    >>> parser = Parser(Side.CLIENT, Policy())
    >>> parser.feed(b"\x81"), parser.feed(b"\x02Hi")
    ([], [MessageReceived(b'Hi', is_text=True)])
    """

    __slots__ = (
        "_buffer",
        "_closed",
        "_compressed",
        "_extension",
        "_fin",
        "_fragments",
        "_frame_limit",
        "_is_text",
        "_key",
        "_mask_bit",
        "_max_controls",
        "_max_fragments",
        "_max_message_size",
        "_message",
        "_offset",
        "_payload",
        "_remaining",
        "_utf8",
        "bytes_received",
        "controls",
        "error",
        "has_more",
        "max_batch_frames",
        "max_batch_size",
        "messages",
        "packed",
        "plain",
    )

    def __init__(self, side: Side, policy: Policy, extension: Extension | None = None) -> None:
        #: Why the parser stopped for good, or ``None``.
        self.error: WebSocketException | None = None
        #: Control frames since the last data frame; the owner may forgive them.
        self.controls = 0
        #: What has come so far, see :class:`~.counts.Counts`.
        self.messages = self.bytes_received = self.packed = self.plain = 0
        #: Whether the last call stopped at its bounds, so that ``feed(b"")`` goes on.
        self.has_more = False
        self.max_batch_frames = policy.turn_frames
        self.max_batch_size = policy.receive_queue_size
        self._mask_bit = 0x80 if side is Side.SERVER else 0
        self._extension = extension
        self._frame_limit = policy.frame_limit
        self._max_message_size = policy.max_message_size
        self._max_fragments = policy.max_fragments
        self._max_controls = policy.max_control_frames
        self._buffer = b""  # not parsed yet
        self._closed = False  # a Close frame ends the stream
        # The message that is being put together; None between messages.
        self._message: bytearray | None = None
        self._is_text = False
        self._compressed = False
        self._fragments = 0
        self._utf8: IncrementalUtf8 | None = None
        # The data frame whose payload is not complete yet; None between frames.
        self._payload: bytearray | None = None
        self._remaining = 0
        self._offset = 0
        self._key = b""
        self._fin = False

    def feed(self, data: bytes, max_frames: int | None = None) -> list[Event]:
        """
        Parse bytes in the order they came from the network.

        Args:
            data: Zero or more bytes. Not modified.
            max_frames: Stop after so many frames; by default after ``policy.turn_frames``.
                It stops, too, when the events hold more than ``policy.receive_queue_size``
                bytes. The rest is kept: see :attr:`has_more`.

        Returns:
            The events that were completed, oldest first; often none.
        """
        if self.error is not None or self._closed:
            return []
        self.bytes_received += len(data)
        if self._buffer:
            data = self._buffer + data if data else self._buffer
            self._buffer = b""
        events: list[Event] = []
        self.has_more = False
        try:
            used = self._parse(data, events, max_frames or self.max_batch_frames)
        except WebSocketException as error:
            # Its frames would hold what they were about to parse, and this parser, in a cycle.
            error.__traceback__ = error.__context__ = None
            self.stop(error)
        else:
            if used < len(data) and not self._closed:
                self._buffer = data[used:] if used else data
        self.messages += len(events)
        return events

    def count_into(self, counts: Counts) -> None:
        """Fill in what is known here of a connection."""
        counts.messages_received = self.messages
        counts.bytes_received = self.bytes_received
        counts.packed_received = self.packed
        counts.plain_received = self.plain

    def stop(self, error: WebSocketException) -> None:
        """Parse nothing more, for what the peer did or for what the owner found."""
        self.error = error
        self.has_more = False
        self._message = self._payload = None

    def _parse(self, data: bytes, events: list[Event], frames: int) -> int:
        """Parse whole frames, and what there is of the last one; return how many bytes were used."""
        position = 0
        end = len(data)
        budget = self.max_batch_size
        mask_bit = self._mask_bit
        if self._payload is not None:
            position = self._continue_frame(data, 0, end, events)
        while frames > 0 and budget >= 0 and end - position >= 2 and not self._closed:
            first = data[position]
            size = data[position + 1]
            # Most frames: a whole unfragmented message of up to 125 bytes, masked or not as it must be.
            if (first == 0x81 or first == 0x82) and size & 0x80 == mask_bit and self._message is None:
                size &= 0x7F
                start = position + 2
            else:
                self._check_head(first, size)
                size &= 0x7F
                start = position + 2
            if size >= 126:
                if end - position < (4 if size == 126 else 10):
                    break
                size, start = self._read_size(data, position + 2, size)
            if first & 0x08:
                used = self._control_frame(data, first, start, size, end, events)
                if not used:
                    break
                position = used
                frames -= 1
                continue
            if mask_bit:
                start += 4
                if start > end:
                    self._check_size(first, size)
                    break
            self._check_size(first, size)
            frames -= 1
            stop = start + size
            if stop <= end and self._message is None and (first == 0x81 or first == 0x82):
                payload = data[start:stop]
                if mask_bit and size:
                    payload = apply_mask(payload, data[start - 4 : start])
                if first == 0x81 and not payload.isascii():
                    check_utf8(payload)
                events.append(MessageReceived(payload, first == 0x81))
                self.controls = 0
                position = stop
                budget -= size + _EVENT_COST
                continue
            self._begin_frame(first, size, data[start - 4 : start] if mask_bit else b"")
            before = len(events)
            position = self._continue_frame(data, start, end, events)
            if len(events) > before:
                message = events[-1]
                assert isinstance(message, MessageReceived)
                budget -= len(message.data) + _EVENT_COST
        self.has_more = (frames <= 0 or budget < 0) and position < end and not self._closed
        return position

    # --- the header step -------------------------------------------------------------

    def _check_head(self, first: int, second: int) -> None:
        """Check the first two bytes of a frame."""
        opcode = first & 0x0F
        if first & 0x30:
            raise ProtocolException("RSV2 or RSV3 is set, and no extension uses them")
        check_opcode(opcode)
        if first & 0x40 and (self._extension is None or opcode not in (1, 2)):
            raise ProtocolException(f"RSV1 is set on a frame of opcode {opcode:#x}, where it has no meaning")
        if second & 0x80 != self._mask_bit:
            rule = "a client masks its frames" if self._mask_bit else "a server does not mask its frames"
            raise ProtocolException(f"{rule}, RFC 6455 section 5.1")
        if opcode & 0x08:
            if not first & 0x80:
                raise ProtocolException("a control frame is fragmented")
            if second & 0x7F > MAX_CONTROL_PAYLOAD:
                raise ProtocolException(f"a control frame of more than {MAX_CONTROL_PAYLOAD} bytes")
        elif opcode:
            if self._message is not None:
                raise ProtocolException("a new message begins before the last one is complete")
        elif self._message is None:
            raise ProtocolException("a continuation frame without a message to continue")

    @staticmethod
    def _read_size(data: bytes, position: int, size: int) -> tuple[int, int]:
        """Read an extended length; return it and where it ends."""
        if size == 126:
            size = _unpack_16(data, position)[0]
            if size < 126:
                raise ProtocolException(f"a length of {size} in 16 bits; the shortest form must be used")
            return size, position + 2
        size = _unpack_64(data, position)[0]
        if size >> 63:
            raise ProtocolException("the most significant bit of a 64 bit length is set")
        if size < 0x10000:
            raise ProtocolException(f"a length of {size} in 64 bits; the shortest form must be used")
        return size, position + 8

    def _check_size(self, first: int, size: int) -> None:
        """Check the announced length of a data frame, and the number of frames in its message."""
        limit = self._frame_limit
        if limit is not None and size > limit:
            raise FrameTooLargeException(f"a frame of {size} bytes; at most {limit} are taken")
        message = self._message
        if message is not None:
            limit = self._max_message_size
            if limit is not None and len(message) + size > limit and not self._compressed:
                raise FrameTooLargeException(f"a message of more than {limit} bytes")
            # A last frame without a payload only says that the ones before it were all.
            is_full_stop = first & 0x80 and not size
            if (
                self._max_fragments is not None
                and self._fragments >= self._max_fragments
                and not is_full_stop
            ):
                raise FrameTooLargeException(f"a message of more than {self._max_fragments} frames")

    # --- control frames --------------------------------------------------------------

    def _control_frame(
        self, data: bytes, first: int, start: int, size: int, end: int, events: list[Event]
    ) -> int:
        """Take a control frame whole; return where it ends, or 0 when it is not complete."""
        if self._mask_bit:
            start += 4
        stop = start + size
        if stop > end:
            return 0
        payload = data[start:stop]
        if self._mask_bit:
            payload = apply_mask(payload, data[start - 4 : start])
        opcode = first & 0x0F
        if opcode == 0x8:
            code, reason = unpack_close(payload)
            self._closed = True
            self._message = None
            self.messages -= 1  # an event that is none
            events.append(CloseReceived(code, reason))
            return stop
        self.controls += 1
        if self._max_controls is not None and self.controls > self._max_controls:
            raise PolicyViolation(f"more than {self._max_controls} control frames in a row")
        self.messages -= 1
        events.append(PingReceived(payload) if opcode == 0x9 else PongReceived(payload))
        return stop

    # --- data frames that are fragments, compressed, or not complete yet ----------------

    def _begin_frame(self, first: int, size: int, key: bytes) -> None:
        if first & 0x0F:
            self._message = bytearray()
            self._is_text = first & 0x0F == 0x1
            self._compressed = bool(first & 0x40)
            self._fragments = 0
            if self._is_text:
                self._utf8 = IncrementalUtf8()
        self._fragments += 1
        self.controls = 0
        self._fin = bool(first & 0x80)
        # An uncompressed payload goes straight into the message.
        self._payload = bytearray() if self._compressed else self._message
        self._remaining = size
        self._offset = 0
        self._key = key

    def _continue_frame(self, data: bytes, position: int, end: int, events: list[Event]) -> int:
        """Take what there is of the current frame's payload; return how far."""
        payload = self._payload
        assert payload is not None
        size = min(self._remaining, end - position)
        if size:
            chunk = data[position : position + size]
            if self._key:
                chunk = apply_mask(chunk, rotate_key(self._key, self._offset))
            if not self._compressed and self._is_text:
                self._check_text(chunk)
            payload += chunk
            self._offset += size
            self._remaining -= size
        if not self._remaining:
            self._payload = None
            self._end_frame(payload, events)
        return position + size

    def _end_frame(self, payload: bytearray, events: list[Event]) -> None:
        message = self._message
        assert message is not None
        data: Buffer = message
        if self._compressed:
            assert self._extension is not None
            limit = self._max_message_size
            room = None if limit is None else limit - len(message)
            inflated = self._extension.decode_frame(payload, self._fin, room)
            self.packed += len(payload)
            self.plain += len(inflated)
            if self._is_text:
                self._check_text(inflated)
            if self._fin and not message:
                data = inflated  # as it is in most cases; it is not copied
            else:
                message += inflated
        if self._fin:
            if self._is_text:
                self._check_text(b"", final=True)
            self._message = None
            self._utf8 = None
            events.append(MessageReceived(bytes(data), self._is_text))

    def _check_text(self, chunk: bytes, final: bool = False) -> None:
        assert self._utf8 is not None
        self._utf8.feed(chunk, final)
