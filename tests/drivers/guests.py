"""Members of rooms that are no WebSockets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from ws4py_middleware.core.prepared import PreparedMessage


class Guest:
    """Somebody in a room, who keeps what comes."""

    def __init__(self, is_open: bool = True) -> None:
        self.is_open = is_open
        self.received: list[tuple[bytes | bytearray | memoryview, bool]] = []

    def deliver(self, message: PreparedMessage, /) -> bool:
        if self.is_open:
            self.received.append((message.data, message.is_text))
        return self.is_open

    @property
    def heard(self) -> list[bytes]:
        """The payloads."""
        return [bytes(data) for data, _ in self.received]


@pytest.fixture
def hurry() -> Iterator[None]:
    """Let threads take turns after a few lines of code, so that they meet everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
