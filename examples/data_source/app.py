"""
A WebSocket without any socket: it is fed from a generator, and what it sends is printed.

    python app.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ws4py_middleware.messaging import CloseControlMessage, Message, TextMessage
from ws4py_middleware.streaming import Stream
from ws4py_middleware.websocket import WebSocket


def data_source() -> Iterator[Message]:
    """Say what the peer says."""
    for celsius in (19.5, 20.25, 22.0):
        yield TextMessage(str(celsius))
    yield CloseControlMessage(1000, "that was all")


class Source:
    """What a WebSocket takes for a socket: two methods."""

    def __init__(self, messages: Iterable[Message]) -> None:
        # A client masks what it sends.
        self._wire = (message.single(mask=True) for message in messages)
        self._rest = b""
        self._answers = Stream(expect_masking=False)

    def recv(self, size: int) -> bytes:
        """Return the next bytes, at most so many; none is the end."""
        data = self._rest or next(self._wire, b"")
        self._rest = data[size:]
        return data[:size]

    def sendall(self, data: bytes) -> None:
        """Print the message that these bytes are."""
        self._answers.parser.send(data)
        if self._answers.has_message:
            print("sent:", self._answers.message)
            self._answers.message = None


class Fahrenheit(WebSocket):
    """Answers each temperature in other degrees."""

    def received_message(self, message: Message) -> None:
        """Convert one."""
        self.send(f"{message} °C is {float(str(message)) * 9 / 5 + 32:g} °F")

    def closed(self, code: int, reason: str | None = None) -> None:
        """Say how it ended."""
        print("closed:", code, reason)


if __name__ == "__main__":
    Fahrenheit(sock=Source(data_source())).run()
