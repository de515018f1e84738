"""
A stream of frames in, messages out, under ws4py's names.

:class:`Stream` is :mod:`.core.parser` with ws4py's face: what arrived lies in
attributes until the owner takes it. It is for code that was written against
ws4py's own; connections do not go through it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from types import GeneratorType

from .core.events import CloseReceived, Event, MessageReceived, PingReceived, PongReceived
from .core.frames import is_close_code
from .core.parser import Parser
from .core.policy import Policy
from .core.types import Buffer, Side
from .exc import StreamClosed
from .messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)

__all__ = ["VALID_CLOSING_CODES", "Stream"]

#: The registered close codes that may stand in a Close frame; 3000 to 4999 may too.
VALID_CLOSING_CODES = [code for code in range(1000, 1016) if is_close_code(code)]


class Stream:
    r"""
    What one peer sends, taken apart.

    Args:
        always_mask: Mask the pings and pongs that are built here; a client does.
        expect_masking: Require masked frames, as a server must; ``False`` refuses
            them, as a client must (:rfc:`6455#section-5.1`). It and ``policy`` are
            read when :attr:`parser` is first used.
        policy: The limits; by default those of every connection.

    :attr:`parser` never raises on what the peer sent. What breaks a rule becomes
    a :class:`~.messaging.CloseControlMessage` in :attr:`errors`, with the code and
    reason to tell the peer, and from then on bytes are ignored; they are after a
    Close frame, too. What had arrived before stays.

    >>> stream = Stream(expect_masking=False)
    >>> stream.parser.send(b"\x81")
    1
    >>> stream.has_message
    False
    >>> stream.parser.send(b"\x02Hi")
    1
    >>> stream.has_message, stream.message
    (True, <TextMessage b'Hi'>)
    """

    def __init__(
        self, always_mask: bool = False, expect_masking: bool = True, *, policy: Policy | None = None
    ) -> None:
        #: Pings that arrived, oldest first. The owner answers them, and empties the list.
        self.pings: list[PingControlMessage] = []
        #: Pongs that arrived, oldest first. The owner empties the list.
        self.pongs: list[PongControlMessage] = []
        #: The peer's Close frame; its code is 1005 when it had none.
        self.closing: CloseControlMessage | None = None
        #: What the peer did wrong, with the close code to tell it.
        self.errors: list[CloseControlMessage] = []
        self.always_mask = always_mask
        self.expect_masking = expect_masking
        self.policy = policy
        self._messages: deque[Message] = deque()
        # The fragmented message that is shown as `message` before it is complete.
        self._partial: TextMessage | BinaryMessage | None = None
        self._machine: _Parser | None = None
        self._parser: Generator[int, Buffer | None, None] | None = None
        self._closed = False

    @property
    def parser(self) -> Generator[int, Buffer | None, None]:
        """
        A generator that takes bytes and yields how many it wants next.

        ``send()`` it any number of bytes, several frames at once too. Those that it
        asks for are the rest of what it is about to read (the two bytes of a head
        one by one, the longer length, the mask key, the payload), so whoever sends
        just these never reads into the next frame.

        Raises:
            StreamClosed: The stream was closed with ``parser.close()``.
        """
        if self._parser is None:
            self._parser = self.receiver()
            next(self._parser)
        return self._parser

    @property
    def message(self) -> Message | None:
        """
        The message that arrived first, or the fragments there are of one.

        A fragmented message is here from its first whole frame on, with
        ``completed`` false, and stays the same object while it grows. Later messages
        wait: whoever is done with one sets this to ``None``, and the next takes its
        place. (ws4py overwrote a message that nobody had taken.)
        """
        if self._messages:
            return self._messages[0]
        if self._partial is None and self._machine is not None:
            self._partial = self._machine.make_partial()
        return self._partial

    @message.setter
    def message(self, message: Message | None) -> None:
        if self._messages:
            self._messages.popleft()
        if message is not None:
            self._messages.appendleft(message)

    @property
    def has_message(self) -> bool:
        """Whether :attr:`message` is there and complete."""
        return bool(self._messages) and self._messages[0].completed

    @property
    def has_messages(self) -> bool:
        """The name that ws4py's documentation has for :attr:`has_message`."""
        return self.has_message

    def text_message(self, text: str | Buffer) -> TextMessage:
        """Make a text message to send."""
        return TextMessage(text)

    def binary_message(self, bytes: Buffer) -> BinaryMessage:
        """Make a binary message to send."""
        return BinaryMessage(bytes)

    def close(self, code: int | None = 1000, reason: str | Buffer | None = "") -> CloseControlMessage:
        """Make a Close message to send; it is not built yet, unlike a ping."""
        return CloseControlMessage(code, reason)

    def ping(self, data: str | Buffer = "") -> bytes:
        """Build a ping, masked when :attr:`always_mask` is set."""
        return PingControlMessage(data).single(mask=self.always_mask)

    def pong(self, data: str | Buffer = "") -> bytes:
        """Build a pong, masked when :attr:`always_mask` is set."""
        return PongControlMessage(data).single(mask=self.always_mask)

    def receiver(self) -> Generator[int, Buffer | None, None]:
        """
        Run the parser: what :attr:`parser` is, before its first ``next()``.

        Raises:
            StreamClosed: The stream was closed before.
        """
        if self._closed:
            raise StreamClosed("this stream was closed; begin a new one")
        machine = self._machine = _Parser(
            Side.SERVER if self.expect_masking else Side.CLIENT, self.policy or Policy()
        )
        try:
            while True:
                data = yield machine.count_wanted()
                if data and machine.error is None:
                    self._feed(machine, data if isinstance(data, bytes) else bytes(memoryview(data)))
        finally:
            self._cleanup()

    def _feed(self, machine: _Parser, data: bytes) -> None:
        if not self.pings and not self.pongs:
            # What the owner has dealt with is no flood.
            machine.controls = 0
        self._dispatch(machine.feed(data))
        while machine.has_more:
            self._dispatch(machine.feed(b""))
        if machine.error is not None:
            self._partial = None
            self.errors.append(CloseControlMessage(machine.error.close_code, str(machine.error)))
        elif self._partial is not None:
            machine.update_partial(self._partial)

    def _dispatch(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, MessageReceived):
                message = self._partial
                if message is None:
                    make = TextMessage.from_bytes if event.is_text else BinaryMessage.from_bytes
                    message = make(event.data)
                else:
                    message.data = event.data
                    message.completed = True
                    self._partial = None
                self._messages.append(message)
            elif isinstance(event, PingReceived):
                self.pings.append(PingControlMessage(event.data))
            elif isinstance(event, PongReceived):
                self.pongs.append(PongControlMessage(event.data))
            else:
                assert isinstance(event, CloseReceived)
                self.closing = CloseControlMessage(event.code, event.reason)
                self._partial = None

    def _cleanup(self) -> None:
        """Drop what the stream holds; it takes no more bytes."""
        self._closed = True
        parser, self._parser = self._parser, None
        if isinstance(parser, GeneratorType) and not parser.gi_running:
            parser.close()
        self._machine = self._partial = self.closing = None
        self._messages.clear()
        self.pings = []
        self.pongs = []
        self.errors = []


class _Parser(Parser):
    """The parser, and what ws4py's users see of a frame or message that is not complete."""

    __slots__ = ()

    def count_wanted(self) -> int:
        """Count the bytes that are missing from what is being read: a byte of the head, a length, ..."""
        if self._partial is not None and self._partial.payload is not None:
            return self._partial.remaining
        head = self._buffer
        have = len(head)
        if have < 2 or self.error is not None:
            return 1
        size = head[1] & 0x7F
        end = 2
        if size >= 126:
            end += 2 if size == 126 else 8
            if have < end:
                return end - have
        if head[1] & 0x80:
            end += 4
            if have < end:
                return end - have
        # Only control frames, which are small, wait here for their payload.
        return end + size - have

    def make_partial(self) -> TextMessage | BinaryMessage | None:
        """Make a message of the whole fragments there are of one; ``None`` when there are none."""
        partial = self._partial
        if partial is None or partial.fragments < 1 + (partial.payload is not None):
            return None
        message = TextMessage(b"") if partial.is_text else BinaryMessage(b"")
        self.update_partial(message)
        return message

    def update_partial(self, message: TextMessage | BinaryMessage) -> None:
        """Bring a message up to date with the fragments that are there."""
        if self._partial is not None and len(message.data) < len(self._partial.message):
            message.extend(self._partial.message.get_part(len(message.data)))
