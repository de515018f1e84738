"""Frames to feed a stream with, and what its owner does."""

from __future__ import annotations

from ws4py_middleware.framing import OPCODE_CLOSE, OPCODE_TEXT, Frame
from ws4py_middleware.messaging import CloseControlMessage, Message
from ws4py_middleware.streaming import Stream

KEY = bytes.fromhex("37fa213d")


def frame(opcode: int, body: bytes = b"", fin: int = 1, key: bytes | None = KEY) -> bytes:
    return Frame(opcode, body, masking_key=key, fin=fin).build()


def text(body: bytes, fin: int = 1) -> bytes:
    return frame(OPCODE_TEXT, body, fin)


def close(payload: bytes) -> bytes:
    return frame(OPCODE_CLOSE, payload)


def peek(stream: Stream) -> Message | None:
    """Look at the message; what mypy has concluded about the attribute before does not hold any more."""
    return stream.message


def take(stream: Stream) -> list[Message]:
    """Take the messages as an owner does."""
    messages = []
    while stream.has_message:
        message = stream.message
        assert message is not None
        messages.append(message)
        stream.message = None
    return messages


def fail(stream: Stream, code: int) -> CloseControlMessage:
    """Check that the stream holds exactly one error, and goes on without one more."""
    assert stream.parser.send(text(b"late")) == 1
    assert next(stream.parser) == 1
    (error,) = stream.errors
    assert type(error) is CloseControlMessage
    assert error.code == code
    assert error.reason
    assert not stream.has_message
    return error
