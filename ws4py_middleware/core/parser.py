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
from .assembly import Assembly
from .coding import Coding
from .counts import Counts
from .events import CloseReceived, Event, MessageReceived, PingReceived, PongReceived, make_message
from .frames import MAX_CONTROL_PAYLOAD, check_opcode, unpack_close
from .limits import find_limits
from .masking import unmask
from .policy import Policy
from .types import Side
from .utf8 import check_utf8, is_ascii

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = ["Parser"]

_unpack_64 = struct.Struct("!Q").unpack_from

#: What an event costs beside its payload, about.
_EVENT_COST = 128

#: From so many missing bytes on, they are read to where they belong.
_ROOM_FROM = 16 * 1024

#: A limit that is none: no length in a header is larger.
_NO_LIMIT = 0x7FFFFFFFFFFFFFFF


class _Partial:
    """The message that is being put together, and the frame of it whose payload is not complete yet."""

    __slots__ = (
        "compressed",
        "fin",
        "fragments",
        "is_text",
        "key",
        "message",
        "offset",
        "payload",
        "remaining",
    )

    def __init__(self, is_text: bool, compressed: bool) -> None:
        self.is_text = is_text
        self.compressed = compressed
        self.fragments = 0
        self.message = Assembly(is_text)
        # Where the payload of the frame goes; None between frames.
        self.payload: Assembly | None = None
        self.remaining = 0
        self.offset = 0
        self.key = b""
        self.fin = False


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
        "_coding",
        "_limits",
        "_mask_bit",
        "_partial",
        "bytes_received",
        "controls",
        "error",
        "has_more",
        "messages",
    )

    def __init__(self, side: Side, policy: Policy, extension: Extension | None = None) -> None:
        #: Why the parser stopped for good, or ``None``.
        self.error: WebSocketException | None = None
        #: Control frames since the last data frame; the owner may forgive them.
        self.controls = 0
        #: What has come so far, see :class:`~.counts.Counts`.
        self.messages = self.bytes_received = 0
        #: Whether the last call stopped at its bounds, so that ``feed(b"")`` goes on.
        self.has_more = False
        self._limits = find_limits(policy)
        self._mask_bit = 0x80 if side is Side.SERVER else 0
        self._coding = None if extension is None else Coding(extension)
        self._buffer = b""  # not parsed yet
        self._closed = False  # a Close frame ends the stream
        self._partial: _Partial | None = None  # None between messages

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
            used = self._parse(data, events, max_frames or self._limits.turn_frames)
        except WebSocketException as error:
            self._stop_at(error)
        else:
            if used < len(data) and not self._closed:
                self._buffer = data[used:] if used else data
        self.messages += len(events)
        return events

    def get_room(self, size: int) -> memoryview | None:
        """
        Return where the next bytes of a payload belong, so that they need not be copied there.

        It is to be let go of before :meth:`room_filled`, or whatever else is called.

        Args:
            size: How much is asked for at most.

        Returns:
            ``None`` when no payload lacks so much that it is worth it.
        """
        partial = self._partial
        if partial is None or partial.payload is None or partial.remaining < _ROOM_FROM:
            return None
        return partial.payload.get_room(size, partial.remaining)

    def room_filled(self, size: int) -> list[Event]:
        """
        Take what was read into :meth:`get_room`, as :meth:`feed` does.

        Args:
            size: So many bytes.

        Raises:
            ValueError: There was not so much room.
        """
        events: list[Event] = []
        partial = self._partial
        if partial is None or partial.payload is None:
            raise ValueError("there was no room to be filled")
        try:
            partial.payload.room_filled(size, partial.key, partial.offset)
            self.bytes_received += size
            partial.offset += size
            partial.remaining -= size
            if not partial.remaining:
                self._end_frame(partial, events)
        except WebSocketException as error:
            self._stop_at(error)
        self.messages += len(events)
        return events

    def count_into(self, counts: Counts) -> None:
        """Fill in what is known here of a connection."""
        counts.messages_received = self.messages
        counts.bytes_received = self.bytes_received
        coding = self._coding
        if coding is not None:
            counts.packed_received = coding.packed
            counts.plain_received = coding.plain

    def stop(self, error: WebSocketException) -> None:
        """Parse nothing more, for what the peer did or for what the owner found."""
        self.error = error
        self.has_more = False
        self._partial = None

    def _stop_at(self, error: WebSocketException) -> None:
        # Its frames would hold what they were about to parse, and this parser, in a cycle.
        error.__traceback__ = error.__context__ = None
        self.stop(error)

    def _parse(self, data: bytes, events: list[Event], frames: int) -> int:
        """Parse whole frames, and what there is of the last one; return how many bytes were used."""
        position = 0
        end = len(data)
        budget = self._limits.receive_queue_size
        limit = self._limits.frame_limit
        mask_bit = self._mask_bit
        if self._partial is not None and self._partial.payload is not None:
            position = self._continue_frame(data, 0, end, events)
        while frames > 0 and budget >= 0 and end - position >= 2:
            first = data[position]
            size = data[position + 1]
            # Most frames are whole unfragmented messages, masked or not as they must be.
            is_plain = first == 0x81 or first == 0x82
            if not is_plain or size & 0x80 != mask_bit or self._partial is not None:
                is_plain = False
                self._check_head(first, size)
            size &= 0x7F
            start = position + 2
            if size == 126:
                if end - position < 4:
                    break
                size = data[start] << 8 | data[start + 1]
                if size < 126:
                    raise ProtocolException(f"a length of {size} in 16 bits; the shortest form must be used")
                start += 2
            elif size == 127:
                if end - position < 10:
                    break
                size = _read_long(data, start)
                start += 8
            if first & 0x08:
                used = self._control_frame(data, first, start, size, end, events)
                if not used:
                    break
                position = used
                frames -= 1
                if self._closed:
                    return position
                continue
            if size > limit or not is_plain:
                self._check_size(first, size)
            if mask_bit:
                start += 4
                if start > end:
                    break
            frames -= 1
            # Not start + size <= end: more may be announced than can be counted.
            if size <= end - start and (is_plain or (first & 0x80 and self._partial is None)):
                position = start + size
                payload = unmask(data, start, position) if mask_bit else data[start:position]
                if not is_plain:
                    payload = self._inflate(payload, True, 0)
                if first & 0x0F == 0x1 and not is_ascii(payload):
                    check_utf8(payload)
                events.append(make_message(payload, first & 0x0F == 0x1))
                self.controls = 0
                budget -= len(payload) + _EVENT_COST
                continue
            self._begin_frame(first, size, data[start - 4 : start] if mask_bit else b"")
            count = len(events)
            position = self._continue_frame(data, start, end, events)
            if len(events) > count:
                message = events[count]
                assert isinstance(message, MessageReceived)
                budget -= len(message.data) + _EVENT_COST
        self.has_more = (frames <= 0 or budget < 0) and position < end
        return position

    # --- the header step -------------------------------------------------------------

    def _check_head(self, first: int, second: int) -> None:
        """Check the first two bytes of a frame."""
        opcode = first & 0x0F
        if first & 0x30:
            raise ProtocolException("RSV2 or RSV3 is set, and no extension uses them")
        check_opcode(opcode)
        if first & 0x40 and (self._coding is None or opcode not in (1, 2)):
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
            if self._partial is not None:
                raise ProtocolException("a new message begins before the last one is complete")
        elif self._partial is None:
            raise ProtocolException("a continuation frame without a message to continue")

    def _check_size(self, first: int, size: int) -> None:
        """Check the announced length of a data frame, and the number of frames in its message."""
        limits = self._limits
        if size > limits.frame_limit:
            raise FrameTooLargeException(f"a frame of {size} bytes; at most {limits.frame_limit} are taken")
        partial = self._partial
        if partial is not None:
            if size > limits.max_message_size - len(partial.message) and not partial.compressed:
                raise FrameTooLargeException(f"a message of more than {limits.max_message_size} bytes")
            # A last frame without a payload only says that the ones before it were all.
            is_full_stop = first & 0x80 and not size
            if partial.fragments >= limits.max_fragments and not is_full_stop:
                raise FrameTooLargeException(f"a message of more than {limits.max_fragments} frames")

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
        payload = unmask(data, start, stop) if self._mask_bit else data[start:stop]
        opcode = first & 0x0F
        if opcode == 0x8:
            code, reason = unpack_close(payload)
            self._closed = True
            self._partial = None
            self.messages -= 1  # an event that is none
            events.append(CloseReceived(code, reason))
            return stop
        self.controls += 1
        if self.controls > self._limits.max_control_frames:
            raise PolicyViolation(f"more than {self._limits.max_control_frames} control frames in a row")
        self.messages -= 1
        events.append(PingReceived(payload) if opcode == 0x9 else PongReceived(payload))
        return stop

    # --- data frames that are fragments, compressed, or not complete yet ----------------

    def _begin_frame(self, first: int, size: int, key: bytes) -> None:
        partial = self._partial
        if partial is None:
            partial = self._partial = _Partial(first & 0x0F == 0x1, bool(first & 0x40))
        partial.fragments += 1
        self.controls = 0
        partial.fin = bool(first & 0x80)
        # An uncompressed payload goes straight into the message.
        partial.payload = Assembly(False) if partial.compressed else partial.message
        partial.remaining = size
        partial.offset = 0
        partial.key = key

    def _continue_frame(self, data: bytes, position: int, end: int, events: list[Event]) -> int:
        """Take what there is of the current frame's payload; return how far."""
        partial = self._partial
        assert partial is not None
        assert partial.payload is not None
        size = min(partial.remaining, end - position)
        if size:
            stop = position + size
            partial.remaining -= size
            partial.payload.append_masked(
                data, position, stop, partial.key, partial.offset, partial.remaining
            )
            partial.offset += size
            position = stop
        if not partial.remaining:
            self._end_frame(partial, events)
        return position

    def _end_frame(self, partial: _Partial, events: list[Event]) -> None:
        message = partial.message
        payload, partial.payload = partial.payload, None
        if partial.compressed:
            assert payload is not None
            message.append(self._inflate(payload.finish(), partial.fin, len(message)))
        if partial.fin:
            self._partial = None
            events.append(make_message(message.finish(), partial.is_text))

    def _inflate(self, payload: bytes, fin: bool, size: int) -> bytes:
        """Decode the payload of a frame, whose message has ``size`` bytes so far."""
        coding = self._coding
        assert coding is not None
        limit = self._limits.max_message_size
        left = None if limit == _NO_LIMIT else limit - size
        data: bytes = coding.extension.decode_frame(payload, fin, left)
        coding.packed += len(payload)
        coding.plain += len(data)
        return data


def _read_long(data: bytes, position: int) -> int:
    """Read a length of 64 bits."""
    size: int = _unpack_64(data, position)[0]
    if size >> 63:
        raise ProtocolException("the most significant bit of a 64 bit length is set")
    if size < 0x10000:
        raise ProtocolException(f"a length of {size} in 64 bits; the shortest form must be used")
    return size
