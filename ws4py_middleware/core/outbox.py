"""
The outbox: what this end says, framed and in order, until the network has taken it.

It knows which bytes may still be forgotten: a message of which none was given to
the network, that no other depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .coding import Coding
from .counts import Counts
from .packing import Batch, give_batch, pack, pack_head, take_batch
from .prepared import Frame, PreparedMessage
from .types import Buffer, Opcode

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = ["Outbox"]

#: Frames are joined into pieces of about this size for the wire.
_JOIN_SIZE = 128 * 1024

#: Payloads from this size on are not copied: they go out beside their heads.
_APART_FROM = 16 * 1024

#: How many buffers are given out together at most; systems take 1024, of which TLS makes one.
_MAX_BUFFERS = 64

#: First bytes of frames: a message in one frame, RSV1 left out, and a Close frame.
_TEXT_FIRST = 0x81
_BINARY_FIRST = 0x82
_CLOSE_FIRST = 0x88
_PONG_FIRST = 0x8A

_FIN = 0x80
_CONTINUATION = int(Opcode.CONTINUATION)
_TEXT = int(Opcode.TEXT)
_BINARY = int(Opcode.BINARY)

#: The bit of a frame's first byte that says that it is compressed.
_RSV1 = 0x40


class Outbox:
    """
    The outgoing half of a connection.

    Args:
        extension: What messages are encoded with.
        make_mask_key: Where a client's mask keys come from; ``None`` on the server's side.
        high_water: From so many queued bytes on, only the latest pong is kept.
    """

    __slots__ = (
        "_batch",
        "_coding",
        "_fragmenting",
        "_frames",
        "_held",
        "_high_water",
        "_make_mask_key",
        "_pairs",
        "_pong",
        "_wire",
        "_wire_size",
        "bytes_sent",
        "dropped",
        "held_size",
        "messages",
        "queued",
        "queued_max",
    )

    def __init__(
        self, extension: Extension | None, make_mask_key: Callable[[], bytes] | None, high_water: int
    ) -> None:
        #: Bytes that wait to be taken by the network.
        self.queued = 0
        #: What was pushed and taken so far, see :class:`~.counts.Counts`.
        self.messages = self.dropped = self.bytes_sent = 0
        #: The most that has waited, until something was taken last.
        self.queued_max = 0
        self._coding = None if extension is None else Coding(extension)
        self._make_mask_key = make_mask_key
        self._high_water = high_water
        # The piece the network is taking, then whole frames, of which so many are in two parts.
        self._wire: bytes | memoryview | list[Buffer] | None = None
        self._wire_size = 0
        self._frames: list[Frame] | None = None
        self._pairs = 0
        # Behind them the latest messages, as long as nobody has to look at one of them.
        self._batch: Batch | None = None
        self._pong: bytes | None = None  # the latest, while others would pile up
        # Messages that wait for the end of a fragmented one.
        self._fragmenting = False
        self._held: list[tuple[bytes, bool]] | None = None
        #: Their bytes.
        self.held_size = 0

    @property
    def backlog(self) -> int:
        """Bytes that wait: for the network, and for the end of a fragmented message."""
        return self.queued + self.held_size

    # --- frames come in ----------------------------------------------------------------

    def push_message(self, data: Buffer, is_text: bool) -> None:
        """Append a message in one frame."""
        if self._fragmenting:
            # It may not stand between two fragments, and is compressed after them.
            if self._held is None:
                self._held = []
            self._held.append((bytes(data), is_text))
            self.held_size += len(data)
            return
        first = _TEXT_FIRST if is_text else _BINARY_FIRST
        payload: Buffer = data
        if self._coding is not None:
            coding = self._coding
            packed = coding.extension.encode_message(data)
            if packed is not None:
                coding.plain += len(data)
                coding.packed += len(packed)
                payload = packed
                first |= _RSV1
        self.messages += 1
        if type(payload) is bytes and self._make_mask_key is None:
            small = payload
            if len(small) < _APART_FROM:
                batch = self._batch
                if batch is None:
                    batch = take_batch()
                elif batch.size > _JOIN_SIZE:
                    self._split()
                    batch = take_batch()
                self.queued += batch.add(first, small)
                self._batch = batch
                return
        self._push(self._frame(first, payload))

    def push_prepared(self, message: PreparedMessage) -> None:
        """
        Append a message that goes to many; the frame is built once for all that are alike.

        Raises:
            TypeError: It is none.
        """
        if message is None:  # compiled code would look for a frame in it
            raise TypeError("a prepared message is needed, not None")
        coding = self._coding
        if self._make_mask_key is not None or self._fragmenting:
            self.push_message(message.data, message.is_text)
            return
        if coding is None and message.frame is not None:
            self.messages += 1
            self._push(message.frame)
            return
        # A compressor that remembers earlier messages cannot share a frame; the frame
        # that all others share is not compressed, which every peer has to take.
        key = None if coding is None else coding.extension.share_key
        frame = message.frames.get(key)
        if frame is None:
            first = _TEXT_FIRST if message.is_text else _BINARY_FIRST
            payload: bytes | None = None
            if coding is not None and key is not None:
                payload = coding.extension.encode_message(message.data)
            if payload is None:
                frame = self._frame(first, message.data)
            else:
                frame = self._frame(first | _RSV1, payload)
            message.frames[key] = frame
            if key is None:
                message.frame = frame
        if coding is not None and _first_of(frame) & _RSV1:
            coding.plain += len(message.data)
            coding.packed += _size_of(frame)
        self.messages += 1
        self._push(frame)

    def push_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """Append one fragment of a message; other messages wait until the last one."""
        head = _CONTINUATION
        if first:
            head = _TEXT if is_text else _BINARY
            self._fragmenting = True
        if fin:
            head |= _FIN
        coding = self._coding
        if coding is not None:
            coding.plain += len(data)
            data = coding.extension.encode_fragment(data, fin)
            coding.packed += len(data)
            if first:
                head |= _RSV1
        self._push(self._frame(head, data))
        if fin:
            self.messages += 1
            self._fragmenting = False
            held = self._held
            self.drop_held()
            if held is not None:
                for payload, text in held:
                    self.push_message(payload, text)

    def push_control(self, opcode: int, payload: Buffer) -> None:
        """Append a control frame; it may stand between two fragments."""
        self._push(self._frame(_FIN | opcode, payload))

    def push_pong(self, payload: bytes) -> None:
        """Append the answer to a ping; above the high-water mark only the latest is kept (§5.5.3)."""
        if self.queued > self._high_water:
            self._pong = payload
        else:
            self._push(self._frame(_PONG_FIRST, payload))

    # --- and leave again ---------------------------------------------------------------

    def take(self) -> bytes | memoryview | list[Buffer]:
        """
        Return the next bytes for the wire, joined from as many frames as fit together well.

        The same bytes are returned until :meth:`sent` tells how many of them were
        taken. Empty when there is nothing to send. Two or more buffers in a list
        when there is a large payload among them, which is not copied.
        """
        wire = self._wire
        if wire is not None:
            return wire
        if self._batch is not None:
            if self._frames is None and self._pong is None:
                return self._take_batch(self._batch)
            self._split()
        frames = self._frames
        if self._pong is not None:
            payload, self._pong = self._pong, None
            frame = self._frame(_PONG_FIRST, payload)
            frames = self._frames = [frame] if frames is None else [frame, *frames]
            self.queued += _size_of(frame)
        if frames is None:
            return b""
        if self._pairs:
            return self._take_apart(frames)
        if self.queued <= _JOIN_SIZE:
            self._frames = None
            wire = _as_bytes(frames[0]) if len(frames) == 1 else b"".join(frames)  # type: ignore[arg-type]
        else:
            count = size = 0
            while size < _JOIN_SIZE and count < len(frames):
                size += len(frames[count])
                count += 1
            wire = _as_bytes(frames[0]) if count == 1 else b"".join(frames[:count])  # type: ignore[arg-type]
            self._frames = frames[count:] or None
        self._wire = wire
        self._wire_size = len(wire)
        return wire

    def _take_batch(self, batch: Batch) -> bytes:
        """Take what nobody else is before."""
        wire = self._wire = batch.take()
        self._wire_size = len(wire)
        self._batch = None
        give_batch(batch)
        return wire

    def _split(self) -> None:
        """Have the latest messages as frames behind the others."""
        batch = self._batch
        if batch is not None:
            self._batch = None
            frames: list[Any] = batch.split()
            if self._frames is None:
                self._frames = frames or None
            else:
                self._frames += frames
            give_batch(batch)

    def _take_apart(self, frames: list[Frame]) -> bytes | list[Buffer]:
        """Take frames among which there are large ones, whose payloads stay as they are."""
        buffers: list[Buffer] = []
        small: list[bytes] = []
        count = size = 0
        while count < len(frames) and size < _JOIN_SIZE and len(buffers) < _MAX_BUFFERS:
            frame = frames[count]
            count += 1
            size += _size_of(frame)
            if isinstance(frame, tuple):
                small.append(frame[0])
                buffers.append(b"".join(small))
                buffers.append(frame[1])
                small = []
                self._pairs -= 1
            else:
                small.append(frame)
        if small:
            buffers.append(b"".join(small))
        self._frames = frames[count:] or None
        self._wire_size = size
        wire = self._wire = _as_bytes(buffers[0]) if len(buffers) == 1 else buffers
        return wire

    def sent(self, size: int) -> bool:
        """
        Note that the network took the first ``size`` bytes of :meth:`take`.

        Returns:
            Whether that was all of them.

        Raises:
            ValueError: There were not so many.
        """
        wire = self._wire
        assert wire is not None
        if size < 0 or size > self._wire_size:
            raise ValueError(f"the network took {size} bytes, of {self._wire_size}")
        queued = self.queued
        if queued > self.queued_max:
            self.queued_max = queued
        self.queued = queued - size
        self.bytes_sent += size
        if size == self._wire_size:
            self._wire = None
            return True
        if size:
            self._wire_size -= size
            self._wire = _skip(wire, size)
        return False

    def drop_oldest(self) -> bool:
        """
        Forget the oldest message of which no byte was given to the network.

        Returns:
            Whether there was one. A message that is compressed with the memory of
            those before it, or that has several frames, cannot be left out.
        """
        self._split()
        coding = self._coding
        may_skip = coding is None or coding.extension.share_key is not None
        frames = self._frames or ()
        for index, frame in enumerate(frames):
            first = _first_of(frame)
            if may_skip:
                first &= ~_RSV1
            if first in (_TEXT_FIRST, _BINARY_FIRST):
                self._note_queued()
                self.queued -= _size_of(frame)
                self.dropped += 1
                self._forget(index)
                return True
        return False

    def _forget(self, index: int) -> None:
        """Forget one frame."""
        frames = self._frames
        assert frames is not None
        if isinstance(frames[index], tuple):
            self._pairs -= 1
        del frames[index]
        if not frames:
            self._frames = None

    def drop_pong(self) -> None:
        """Forget a pong that waits, because a Close frame will be the last."""
        self._pong = None

    def drop_held(self) -> None:
        """Forget the messages that wait for the end of a fragmented one, which will not come."""
        self._held = None
        self.held_size = 0

    def discard(self) -> None:
        """Forget all frames that were not given to the network, but for a Close frame, which is the last."""
        self._note_queued()
        self._split()
        kept = None
        for frame in self._frames or ():
            self.queued -= _size_of(frame)
            kept = frame
        self._frames = None
        self._pairs = 0
        self.drop_pong()
        self.drop_held()
        if kept is not None and _first_of(kept) == _CLOSE_FIRST:
            self._push(kept)

    def clear(self) -> None:
        """Forget everything: there is no network any more."""
        self.discard()
        self._frames = None
        self._wire = None
        self.queued = 0

    def count_into(self, counts: Counts) -> None:
        """Fill in what is known here of a connection."""
        counts.messages_sent = self.messages
        counts.messages_dropped = self.dropped
        counts.bytes_sent = self.bytes_sent
        coding = self._coding
        if coding is not None:
            counts.packed_sent = coding.packed
            counts.plain_sent = coding.plain
        self._note_queued()
        counts.queued_max = self.queued_max

    def _note_queued(self) -> None:
        """Note how much waits, before that becomes less."""
        self.queued_max = max(self.queued_max, self.queued)

    def _frame(self, first: int, payload: Buffer) -> Frame:
        """Build a frame; what is large and cannot change is left where it is."""
        make = self._make_mask_key
        if make is not None:
            return pack(first, payload, make())
        if type(payload) is bytes and len(payload) >= _APART_FROM:
            return pack_head(first, len(payload)), payload
        return pack(first, payload)

    def _push(self, frame: Frame) -> None:
        if self._batch is not None:
            self._split()
        if self._frames is None:
            self._frames = [frame]
        else:
            self._frames.append(frame)
        if type(frame) is bytes:
            self.queued += len(frame)
        else:
            self.queued += _size_of(frame)
            self._pairs += 1


def _first_of(frame: Frame) -> int:
    return frame[0][0] if isinstance(frame, tuple) else frame[0]


def _size_of(frame: Frame) -> int:
    return len(frame[0]) + len(frame[1]) if isinstance(frame, tuple) else len(frame)


def _as_bytes(data: object) -> bytes:
    assert isinstance(data, bytes)
    return data


def _skip(wire: bytes | memoryview | list[Buffer], size: int) -> memoryview | list[Buffer]:
    """Return what is left of one or several buffers behind the first ``size`` bytes."""
    if not isinstance(wire, list):
        return memoryview(wire)[size:]
    count = 0
    while size >= len(wire[count]):
        size -= len(wire[count])
        count += 1
    first = memoryview(wire[count])[size:]
    rest = wire[count + 1 :]
    return [first, *rest] if rest else first
