"""
The outbox: what this end says, framed and in order, until the network has taken it.

It knows which bytes may still be forgotten: a message of which none was given to
the network, that no other depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .counts import Counts
from .frames import pack_frame
from .prepared import PreparedMessage
from .types import Buffer, Opcode

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = ["Outbox"]

#: Frames are joined into pieces of about this size for the wire.
_JOIN_SIZE = 128 * 1024

#: The first bytes of a message in one frame, RSV1 left out.
_WHOLE_MESSAGES = (0x81, 0x82)

#: The first byte of a Close frame.
_CLOSE_HEAD = 0x88

_CONTINUATION = int(Opcode.CONTINUATION)
_TEXT = int(Opcode.TEXT)
_BINARY = int(Opcode.BINARY)
_PONG = int(Opcode.PONG)

#: The bit of a frame's first byte that says that it is compressed.
_RSV1 = 0x40

#: What stands before small payloads of a server: one look-up in place of a pack.
_TEXT_HEADS = [bytes((0x81, size)) for size in range(126)]
_BINARY_HEADS = [bytes((0x82, size)) for size in range(126)]


class Outbox:
    """
    The outgoing half of a connection.

    Args:
        extension: What messages are encoded with.
        make_mask_key: Where a client's mask keys come from; ``None`` on the server's side.
        high_water: From so many queued bytes on, only the latest pong is kept.
    """

    __slots__ = (
        "_extension",
        "_fragmenting",
        "_frames",
        "_held",
        "_held_size",
        "_high_water",
        "_make_mask_key",
        "_pong",
        "_wire",
        "bytes_sent",
        "dropped",
        "messages",
        "packed",
        "plain",
        "queued",
        "queued_max",
    )

    def __init__(
        self, extension: Extension | None, make_mask_key: Callable[[], bytes] | None, high_water: int
    ) -> None:
        #: Bytes that wait to be taken by the network.
        self.queued = 0
        #: What was pushed and taken so far, see :class:`~.counts.Counts`.
        self.messages = self.dropped = self.bytes_sent = self.packed = self.plain = 0
        #: The most that has waited, until something was taken last.
        self.queued_max = 0
        self._extension = extension
        self._make_mask_key = make_mask_key
        self._high_water = high_water
        # The piece the network is taking, then whole frames.
        self._wire: bytes | memoryview | None = None
        self._frames: list[bytes] = []
        self._pong: bytes | None = None  # the latest, while others would pile up
        # Messages that wait for the end of a fragmented one.
        self._fragmenting = False
        self._held: list[tuple[bytes, bool]] = []
        self._held_size = 0

    @property
    def backlog(self) -> int:
        """Bytes that wait: for the network, and for the end of a fragmented message."""
        return self.queued + self._held_size

    # --- frames come in ----------------------------------------------------------------

    def push_message(self, data: Buffer, is_text: bool) -> None:
        """Append a message in one frame."""
        if self._fragmenting:
            # It may not stand between two fragments, and is compressed after them.
            self._held.append((bytes(data), is_text))
            self._held_size += len(data)
            return
        if self._extension is None and self._make_mask_key is None:
            size = len(data)
            if size < 126:
                frame = (_TEXT_HEADS if is_text else _BINARY_HEADS)[size] + data
            else:
                frame = pack_frame(_TEXT if is_text else _BINARY, data)
            self._frames.append(frame)
            self.queued += len(frame)
            self.messages += 1
            return
        self.messages += 1
        opcode = _TEXT if is_text else _BINARY
        payload = None if self._extension is None else self._extension.encode_message(data)
        if payload is None:
            self._push(self._frame(opcode, data))
        else:
            self.plain += len(data)
            self.packed += len(payload)
            self._push(self._frame(opcode, payload, rsv1=True))

    def push_prepared(self, message: PreparedMessage) -> None:
        """Append a message that goes to many; the frame is built once for all that are alike."""
        extension = self._extension
        if self._make_mask_key is not None or self._fragmenting:
            self.push_message(message.data, message.is_text)
            return
        # A compressor that remembers earlier messages cannot share a frame; the frame
        # that all others share is not compressed, which every peer has to take.
        key = None if extension is None else extension.share_key
        frame = message.frames.get(key)
        if frame is None:
            opcode = _TEXT if message.is_text else _BINARY
            payload: bytes | None = None
            if extension is not None and key is not None:
                payload = extension.encode_message(message.data)
            if payload is None:
                frame = pack_frame(opcode, message.data)
            else:
                frame = pack_frame(opcode, payload, rsv1=True)
            message.frames[key] = frame
        if frame[0] & _RSV1:
            self.plain += len(message.data)
            self.packed += len(frame)
        self.messages += 1
        self._push(frame)

    def push_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """Append one fragment of a message; other messages wait until the last one."""
        opcode = _CONTINUATION
        if first:
            opcode = _TEXT if is_text else _BINARY
            self._fragmenting = True
        rsv1 = False
        if self._extension is not None:
            self.plain += len(data)
            data = self._extension.encode_fragment(data, fin)
            self.packed += len(data)
            rsv1 = first
        self._push(self._frame(opcode, data, fin=fin, rsv1=rsv1))
        if fin:
            self.messages += 1
            self._fragmenting = False
            held, self._held, self._held_size = self._held, [], 0
            for payload, text in held:
                self.push_message(payload, text)

    def push_control(self, opcode: int, payload: Buffer) -> None:
        """Append a control frame; it may stand between two fragments."""
        self._push(self._frame(opcode, payload))

    def push_pong(self, payload: bytes) -> None:
        """Append the answer to a ping; above the high-water mark only the latest is kept (§5.5.3)."""
        if self.queued > self._high_water:
            self._pong = payload
        else:
            self.push_control(_PONG, payload)

    # --- and leave again ---------------------------------------------------------------

    def take(self) -> bytes | memoryview:
        """
        Return the next bytes for the wire, joined from as many frames as fit together well.

        The same bytes are returned until :meth:`sent` tells how many of them were
        taken. Empty when there is nothing to send.
        """
        wire = self._wire
        if wire is not None:
            return wire
        frames = self._frames
        if self._pong is not None:
            payload, self._pong = self._pong, None
            frame = self._frame(_PONG, payload)
            frames.insert(0, frame)
            self.queued += len(frame)
        if not frames:
            return b""
        if len(frames) == 1:
            wire = frames.pop()
        elif self.queued <= _JOIN_SIZE:
            wire = b"".join(frames)
            frames.clear()
        else:
            count = size = 0
            while size < _JOIN_SIZE and count < len(frames):
                size += len(frames[count])
                count += 1
            wire = frames[0] if count == 1 else b"".join(frames[:count])
            del frames[:count]
        self._wire = wire
        return wire

    def sent(self, size: int) -> bool:
        """
        Note that the network took the first ``size`` bytes of :meth:`take`.

        Returns:
            Whether that was all of them.
        """
        wire = self._wire
        assert wire is not None
        queued = self.queued
        if queued > self.queued_max:
            self.queued_max = queued
        self.queued = queued - size
        self.bytes_sent += size
        if size == len(wire):
            self._wire = None
            return True
        if size:
            self._wire = memoryview(wire)[size:]
        return False

    def drop_oldest(self) -> bool:
        """
        Forget the oldest message of which no byte was given to the network.

        Returns:
            Whether there was one. A message that is compressed with the memory of
            those before it, or that has several frames, cannot be left out.
        """
        extension = self._extension
        may_skip = extension is None or extension.share_key is not None
        for index, frame in enumerate(self._frames):
            if frame[0] in _WHOLE_MESSAGES or (may_skip and frame[0] & 0xBF in _WHOLE_MESSAGES):
                self._note_queued()
                self.queued -= len(frame)
                self.dropped += 1
                del self._frames[index]
                return True
        return False

    def drop_pong(self) -> None:
        """Forget a pong that waits, because a Close frame will be the last."""
        self._pong = None

    def drop_held(self) -> None:
        """Forget the messages that wait for the end of a fragmented one, which will not come."""
        self._held, self._held_size = [], 0

    def discard(self) -> None:
        """Forget all frames that were not given to the network, but for a Close frame, which is the last."""
        self._note_queued()
        kept = [frame for frame in self._frames[-1:] if frame[0] == _CLOSE_HEAD]
        self.queued -= sum(map(len, self._frames)) - sum(map(len, kept))
        self._frames = kept
        self.drop_pong()
        self.drop_held()

    def clear(self) -> None:
        """Forget everything: there is no network any more."""
        self.discard()
        self._frames = []
        self._wire = None
        self.queued = 0

    def count_into(self, counts: Counts) -> None:
        """Fill in what is known here of a connection."""
        counts.messages_sent = self.messages
        counts.messages_dropped = self.dropped
        counts.bytes_sent = self.bytes_sent
        counts.packed_sent = self.packed
        counts.plain_sent = self.plain
        self._note_queued()
        counts.queued_max = self.queued_max

    def _note_queued(self) -> None:
        """Note how much waits, before that becomes less."""
        self.queued_max = max(self.queued_max, self.queued)

    def _frame(self, opcode: int, payload: Buffer, *, fin: bool = True, rsv1: bool = False) -> bytes:
        make = self._make_mask_key
        return pack_frame(opcode, payload, fin=fin, rsv1=rsv1, mask_key=None if make is None else make())

    def _push(self, frame: bytes) -> None:
        self._frames.append(frame)
        self.queued += len(frame)
