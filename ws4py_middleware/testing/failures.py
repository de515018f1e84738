"""
What a test is told when a connection does not do what it expects, and what has passed on it so far.

Each failure is an :exc:`AssertionError`, and also what the same thing is outside of tests, so that
``pytest.raises(TimeoutError)`` holds as well.
"""

from __future__ import annotations

from collections import deque

from ..exc import ConnectionClosed

__all__ = ["ConnectionEnded", "NoMessage", "Transcript", "UnexpectedMessage", "WrongEnd", "show"]

#: How much of a message is shown, and how many of them.
_SHOWN = 80
_LINES = 12


class NoMessage(AssertionError, TimeoutError):
    """Nothing came in time."""


class ConnectionEnded(AssertionError, ConnectionClosed):
    """The connection has ended; :attr:`code` and :attr:`reason` say how."""

    def __init__(self, message: str, code: int, reason: str) -> None:
        ConnectionClosed.__init__(self, message, code, reason)


class UnexpectedMessage(AssertionError):
    """Something came where nothing, or something else, was expected."""


class WrongEnd(AssertionError):
    """The connection has ended in another way than was expected, or not at all."""


def show(data: str | bytes) -> str:
    """
    Show a message, the middle of a long one left out.

    >>> show("hello")
    "'hello'"
    >>> show(b"x" * 1000)
    "b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'… (1000 bytes)"
    """
    if len(data) <= _SHOWN:
        return repr(data)
    unit = "characters" if isinstance(data, str) else "bytes"
    return f"{data[: _SHOWN // 2]!r}… ({len(data)} {unit})"


class Transcript:
    """
    What has passed on a connection, the last of it.

    >>> transcript = Transcript()
    >>> transcript.sent("hi")
    >>> transcript.received("hello")
    >>> print(transcript)
    → 'hi'
    ← 'hello'
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._count = 0

    def sent(self, data: str | bytes) -> None:
        """Note a message that was sent."""
        self.note(f"→ {show(data)}")

    def received(self, data: str | bytes) -> None:
        """Note a message that was received."""
        self.note(f"← {show(data)}")

    def note(self, line: str) -> None:
        """Note anything else."""
        self._lines.append(line)
        self._count += 1

    def __str__(self) -> str:
        left_out = self._count - len(self._lines)
        lines = [f"({left_out} more before)", *self._lines] if left_out else list(self._lines)
        return "\n".join(lines) or "(nothing has passed)"
