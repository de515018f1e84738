from __future__ import annotations

from ws4py_middleware.core.prepared import PreparedMessage


def test_prepared_message_begins_without_frames_and_is_as_long_as_its_payload() -> None:
    message = PreparedMessage(b"Hello", True)
    assert (message.data, message.is_text) == (b"Hello", True)
    assert message.frames == {}
    assert len(message) == 5
    assert PreparedMessage(b"", False).frames is not message.frames
