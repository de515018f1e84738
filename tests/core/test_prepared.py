"""core.prepared: the payload of one message, and the frames that were built of it."""

from __future__ import annotations

import pytest

from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Buffer


@pytest.mark.parametrize("data", [b"", b"Hello", bytearray(b"Hello"), memoryview(b"Hello")])
@pytest.mark.parametrize("is_text", [False, True])
def test_prepared_message_has_its_payload_and_no_frame_yet(data: Buffer, is_text: bool) -> None:
    message = PreparedMessage(data, is_text)
    assert message.data == data
    assert message.is_text is is_text
    assert len(message) == len(data)
    assert message.frames == {}


def test_prepared_messages_share_no_frames() -> None:
    first, second = PreparedMessage(b"x", True), PreparedMessage(b"x", True)
    first.frames[None] = b"\x81\x01x"
    assert second.frames == {}


def test_prepared_message_takes_no_other_attributes() -> None:
    message = PreparedMessage(b"x", True)
    assert not hasattr(message, "__dict__")
