"""What a connection tells its driver; past participles, oldest first."""

from __future__ import annotations

from typing import Any

__all__ = [
    "CloseReceived",
    "Event",
    "HookDue",
    "MessageReceived",
    "PingReceived",
    "PongReceived",
    "make_message",
]


class Event:
    """The base of all events."""

    __slots__ = ()


class MessageReceived(Event):
    """A whole message: fragments joined, inflated, and checked to be UTF-8 when it is text."""

    __slots__ = ("data", "is_text")

    def __init__(self, data: bytes, is_text: bool) -> None:
        self.data = data
        self.is_text = is_text

    def __repr__(self) -> str:
        return f"MessageReceived({self.data!r}, is_text={self.is_text})"


def make_message(data: bytes, is_text: bool) -> MessageReceived:
    """Make a :class:`MessageReceived`, faster than its constructor: one is made for each message."""
    event = MessageReceived.__new__(MessageReceived)
    event.data = data
    event.is_text = is_text
    return event


class PingReceived(Event):
    """A ping; the answer is already among the bytes to send."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"PingReceived({self.data!r})"


class PongReceived(Event):
    """
    A pong, asked for or not (:rfc:`6455#section-5.5.3`).

    :attr:`latency` is the time in seconds since the keepalive ping that it
    answers, or ``None`` when it answers none of those.
    """

    __slots__ = ("data", "latency")

    def __init__(self, data: bytes, latency: float | None = None) -> None:
        self.data = data
        self.latency = latency

    def __repr__(self) -> str:
        return f"PongReceived({self.data!r}, latency={self.latency})"


class CloseReceived(Event):
    """The peer's Close frame; ``code`` is 1005 when it had none."""

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    def __repr__(self) -> str:
        return f"CloseReceived({self.code}, {self.reason!r})"


class HookDue(Event):
    """What a subprotocol has made of a message of its own, and a hook has to know."""

    __slots__ = ()

    def tell(self, handler: Any) -> object:
        """Call the hook; what it returns may have to be awaited."""
        raise NotImplementedError
