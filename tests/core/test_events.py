from __future__ import annotations

import pytest

from ws4py_middleware.core.events import (
    CloseReceived,
    Event,
    MessageReceived,
    PingReceived,
    PongReceived,
    make_message,
)


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (MessageReceived(b"Hi", True), "MessageReceived(b'Hi', is_text=True)"),
        (make_message(b"Hi", True), "MessageReceived(b'Hi', is_text=True)"),
        (MessageReceived(b"\x00", False), "MessageReceived(b'\\x00', is_text=False)"),
        (PingReceived(b"1"), "PingReceived(b'1')"),
        (PongReceived(b"1"), "PongReceived(b'1', latency=None)"),
        (PongReceived(b"1", 0.25), "PongReceived(b'1', latency=0.25)"),
        (CloseReceived(1000, "bye"), "CloseReceived(1000, 'bye')"),
    ],
)
def test_event_shows_all_it_has_and_takes_no_more(event: Event, shown: str) -> None:
    assert repr(event) == shown
    assert not hasattr(event, "__dict__")


def test_event_attributes() -> None:
    message, pong, close = MessageReceived(b"Hi", True), PongReceived(b"", 0.5), CloseReceived(1001, "")
    assert (message.data, message.is_text) == (b"Hi", True)
    assert (pong.data, pong.latency) == (b"", 0.5)
    assert (close.code, close.reason) == (1001, "")
    assert PingReceived(b"x").data == b"x"
