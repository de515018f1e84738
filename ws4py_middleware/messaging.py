"""
Messages: what an application sends and receives, under ws4py's names.

A :class:`TextMessage` or :class:`BinaryMessage` is made for every message that
arrives, so these classes are small (slots, no ``__dict__``) and text is decoded
when somebody asks for it, once. A message keeps its payload: ws4py wiped
``message.data`` when ``received_message()`` returned, ours may be stored.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

from .core.frames import MAX_CONTROL_PAYLOAD, check_opcode, pack_close, pack_frame
from .core.types import Buffer, Opcode
from .exc import ProtocolException

__all__ = [
    "BinaryMessage",
    "CloseControlMessage",
    "Message",
    "PingControlMessage",
    "PongControlMessage",
    "TextMessage",
]

# ws4py's opcodes are plain integers.
_CONTINUATION = int(Opcode.CONTINUATION)
_TEXT = int(Opcode.TEXT)
_BINARY = int(Opcode.BINARY)
_CLOSE = int(Opcode.CLOSE)
_PING = int(Opcode.PING)
_PONG = int(Opcode.PONG)

#: As much of a payload as ``repr()`` shows.
_REPR_SIZE = 64

#: What a copy of a message does not have from it.
_NOT_COPIED = frozenset({"__dict__", "__weakref__", "_decoded"})

_MessageT = TypeVar("_MessageT", "TextMessage", "BinaryMessage")
_AnyMessage = TypeVar("_AnyMessage", bound="Message")


class Message:
    r"""
    A message of any type, whole or in the making.

    Args:
        opcode: The type; one of ``framing.OPCODE_*``.
        data: The payload. Bytes-like objects are copied unless they are bytes.
        encoding: How str is encoded; ``None`` for a payload that is not text.

    ``len()`` is the number of characters of a text and the number of bytes
    otherwise, so a message that is empty is false; compare with ``None`` to
    learn whether there is one.

    Raises:
        TypeError: ``data`` is neither str nor bytes-like, or is str without an encoding.

    >>> message = Message(1, "étrange")
    >>> len(message), message.data, str(message)
    (7, b'\xc3\xa9trange', 'étrange')
    """

    __slots__ = ("__weakref__", "_decoded", "completed", "data", "encoding", "opcode")

    #: The type of the message.
    opcode: int
    #: The payload; always bytes.
    data: bytes
    #: The encoding of the payload, ``None`` when it is not text.
    encoding: str | None
    #: Whether the last fragment (FIN) has come.
    completed: bool
    #: For clients that replay: the room that it was published to, and its place there; else ``None``.
    room: str | None = None
    id: str | None = None

    def __init__(self, opcode: int, data: str | Buffer = b"", encoding: str | None = "utf-8") -> None:
        self.opcode = opcode
        self.encoding = encoding
        self.completed = False
        self._decoded: tuple[bytes, str | None, str] | None = None
        self.data = data if type(data) is bytes else _as_bytes(data, encoding)

    @property
    def is_text(self) -> bool:
        """Whether this is a text message."""
        return self.opcode == _TEXT

    @property
    def is_binary(self) -> bool:
        """Whether this is a binary message."""
        return self.opcode == _BINARY

    def single(self, mask: bool = False) -> bytes:
        """
        Build the message as one frame.

        Args:
            mask: Mask it with a fresh random key, as a client must (:rfc:`6455#section-5.3`).

        Raises:
            ValueError: The opcode is reserved, or a control message has more than 125 bytes.

        >>> TextMessage("Hello").single().hex()
        '810548656c6c6f'
        """
        self._check(whole=True)
        return pack_frame(self.opcode, self.data, mask_key=os.urandom(4) if mask else None)

    def fragment(self, first: bool = False, last: bool = False, mask: bool = False) -> bytes:
        """
        Build the message as one frame of a longer message, :rfc:`6455#section-5.4`.

        Args:
            first: The longer message begins here: the frame has this opcode, not continuation.
            last: It ends here: the frame has FIN.
            mask: Mask the frame with a fresh random key, as a client must.

        Raises:
            ValueError: As :meth:`single`; and control messages are never fragmented.
        """
        self._check(whole=first and last)
        return pack_frame(
            self.opcode if first else _CONTINUATION,
            self.data,
            fin=last,
            mask_key=os.urandom(4) if mask else None,
        )

    def extend(self, data: str | Buffer) -> None:
        """
        Append to the payload.

        Raises:
            TypeError: As the constructor.
        """
        self.data += _as_bytes(data, self.encoding)

    def _check(self, whole: bool) -> None:
        try:
            check_opcode(self.opcode)
        except ProtocolException as error:
            raise ValueError(str(error)) from None
        if self.opcode >= _CLOSE:
            if not whole:
                raise ValueError("control messages are never fragmented")
            if len(self.data) > MAX_CONTROL_PAYLOAD:
                raise ValueError(
                    f"a control message has at most {MAX_CONTROL_PAYLOAD} bytes, not {len(self.data)}"
                )

    def __len__(self) -> int:
        if self.encoding is None:
            return len(self.data)
        return len(str(self))

    def __bool__(self) -> bool:
        return bool(self.data)

    def __str__(self) -> str:
        """
        Decode the payload; once, as long as it stays the same.

        Raises:
            TypeError: The message is not text; its bytes are in :attr:`data`.
            UnicodeDecodeError: The payload is not in :attr:`encoding`; never of a
                text message that was received.
        """
        data, encoding = self.data, self.encoding
        decoded = self._decoded
        if decoded is not None and decoded[0] is data and decoded[1] == encoding:
            return decoded[2]
        if encoding is None:
            raise TypeError(f"a {type(self).__name__} is not text; its bytes are in .data")
        text = data.decode(encoding)
        self._decoded = data, encoding, text
        return text

    def __unicode__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Written down because a compiled class has no way of its own that knows of the slots of others.
        state: dict[str, Any] = dict(getattr(self, "__dict__", ()))
        for kind in type(self).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if name not in _NOT_COPIED and hasattr(self, name):
                    state[name] = getattr(self, name)
        return _restore, (type(self), state)

    def __repr__(self) -> str:
        data = self.data
        if not data or len(data) <= _REPR_SIZE:
            return f"<{type(self).__name__} {data!r}>"
        return f"<{type(self).__name__} {data[:_REPR_SIZE]!r}... {len(data)} bytes>"


class TextMessage(Message):
    """
    A text message.

    Args:
        text: str, or bytes that are UTF-8 already; they are not checked here.

    Raises:
        TypeError: ``text`` is something else; ``None`` too.
    """

    __slots__ = ()

    is_text = True
    is_binary = False

    def __init__(self, text: str | Buffer | None = None) -> None:
        self.opcode = _TEXT
        self.encoding = "utf-8"
        self.completed = False
        self._decoded = None
        self.data = text if type(text) is bytes else _as_bytes(text, "utf-8")

    @classmethod
    def from_bytes(cls: type[_MessageT], data: bytes) -> _MessageT:
        """
        Make the message that was received: completed, its UTF-8 checked by the parser.

        Nothing is checked or copied.
        """
        message = TextMessage.__new__(cls)
        message.opcode = _TEXT
        message.encoding = "utf-8"
        message.completed = True
        message._decoded = None
        message.data = data
        return message

    def __len__(self) -> int:
        data = self.data
        return len(data) if data.isascii() else len(str(self))


class BinaryMessage(Message):
    """
    A binary message; it has a length and :attr:`data`, but no ``str()``.

    Args:
        bytes: Bytes-like.

    Raises:
        TypeError: It is not; str and ``None`` too.
    """

    __slots__ = ()

    is_text = False
    is_binary = True

    def __init__(self, bytes: Buffer | None = None) -> None:
        self.opcode = _BINARY
        self.encoding = None
        self.completed = False
        self._decoded = None
        self.data = _as_bytes(bytes, None)

    @classmethod
    def from_bytes(cls: type[_MessageT], data: bytes) -> _MessageT:
        """Make the message that was received: completed, nothing checked or copied."""
        message = BinaryMessage.__new__(cls)
        message.opcode = _BINARY
        message.encoding = None
        message.completed = True
        message._decoded = None
        message.data = data
        return message

    def __len__(self) -> int:
        return len(self.data)


def make_text(data: bytes) -> TextMessage:
    """Return ``TextMessage.from_bytes(data)``, and faster: drivers call this for every message."""
    message = TextMessage.__new__(TextMessage)
    message.opcode = _TEXT
    message.encoding = "utf-8"
    message.completed = True
    message._decoded = None
    message.data = data
    return message


def make_binary(data: bytes) -> BinaryMessage:
    """Return ``BinaryMessage.from_bytes(data)``, as :func:`make_text`."""
    message = BinaryMessage.__new__(BinaryMessage)
    message.opcode = _BINARY
    message.encoding = None
    message.completed = True
    message._decoded = None
    message.data = data
    return message


class CloseControlMessage(Message):
    """
    A Close message, and the record of an error of the peer's.

    Args:
        code: The close code. 0, ``None`` and 1005 ("no code was received") leave it
            out: 1005 is never on the wire, :rfc:`6455#section-7.4.1`.
        reason: For people; cut at a character so that it fits into the 123 bytes
            a Close frame has for it.

    :attr:`reason` is **bytes**, as ws4py has it, however it was given; ``str()``
    of the message is the reason as str, and ``len()`` that one's length.

    Raises:
        ValueError: The code may not be sent (1004, 1006, 1015, out of range), or
            the reason is bytes that are not UTF-8.

    >>> message = CloseControlMessage(1001, "Bye bye")
    >>> message.code, message.reason, str(message)
    (1001, b'Bye bye', 'Bye bye')
    """

    __slots__ = ("code", "reason")

    #: The close code as it was given; 1005 when the peer sent none.
    code: int | None
    #: The reason in UTF-8; ``b""`` when there is none.
    reason: bytes

    def __init__(self, code: int | None = 1000, reason: str | Buffer | None = "") -> None:
        raw = b"" if reason is None else _as_bytes(reason, "utf-8")
        data = pack_close(code or None, raw.decode())
        super().__init__(_CLOSE, data)
        self.code = code
        # Without a code there is no place for a reason on the wire, but a record of it stays.
        self.reason = data[2:] or raw

    def __len__(self) -> int:
        return len(str(self))

    def __bool__(self) -> bool:
        return bool(self.reason)

    def __str__(self) -> str:
        return self.reason.decode()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code} {self.reason!r}>"


class _ProbeMessage(Message):
    """Ping or pong: any bytes, so ``len()`` counts bytes and ``str()`` replaces what is not UTF-8."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.data)

    def __str__(self) -> str:
        return self.data.decode("utf-8", "replace")


class PingControlMessage(_ProbeMessage):
    """A ping; ``data`` comes back in the pong. str is encoded as UTF-8, ``None`` is empty."""

    __slots__ = ()

    def __init__(self, data: str | Buffer | None = None) -> None:
        super().__init__(_PING, b"" if data is None else data)


class PongControlMessage(_ProbeMessage):
    """A pong: the answer to a ping, with its ``data``, or unasked for."""

    __slots__ = ()

    def __init__(self, data: str | Buffer | None) -> None:
        super().__init__(_PONG, b"" if data is None else data)


def _restore(kind: type[_AnyMessage], state: dict[str, Any]) -> _AnyMessage:
    """Make the copy of a message."""
    message = kind.__new__(kind)
    message._decoded = None
    for name, value in state.items():
        setattr(message, name, value)
    return message


def _as_bytes(data: str | Buffer | None, encoding: str | None) -> bytes:
    if isinstance(data, str):
        if not encoding:
            raise TypeError("str needs an encoding; a binary payload is bytes, bytearray or memoryview")
        return data.encode(encoding)
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"a payload is str, bytes, bytearray or memoryview, not {type(data).__name__}")
