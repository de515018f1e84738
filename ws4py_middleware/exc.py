"""
One tree of exceptions; each says what the peer is told.

An error about the opening handshake carries an HTTP status and headers, an
error about frames carries the close code of :rfc:`6455#section-7.4.1`. Whoever
catches one never has to work out the answer from the type.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ConnectionClosed",
    "FrameTooLargeException",
    "HandoverError",
    "HandshakeError",
    "InvalidBytesError",
    "PolicyViolation",
    "ProtocolException",
    "StreamClosed",
    "TextFrameEncodingException",
    "UnsupportedFrameTypeException",
    "WebSocketException",
]


class WebSocketException(Exception):
    """Anything that goes wrong on a WebSocket; :attr:`close_code` is sent to the peer."""

    close_code: int = 1002


class ProtocolException(WebSocketException):
    """The peer broke the rules of framing or of a negotiated extension (close code 1002)."""


class FrameTooLargeException(WebSocketException):
    """A frame, a message or its number of fragments is over the limit (close code 1009)."""

    close_code = 1009


class UnsupportedFrameTypeException(WebSocketException):
    """The peer sent a type of data that this endpoint does not take (close code 1003)."""

    close_code = 1003


class TextFrameEncodingException(WebSocketException):
    """A text message is not UTF-8 (close code 1007)."""

    close_code = 1007


class InvalidBytesError(WebSocketException):
    """A payload does not decode: broken UTF-8 or a broken deflate stream (close code 1007)."""

    close_code = 1007


class PolicyViolation(WebSocketException):
    """The peer does what the policy forbids, such as a flood of control frames (close code 1008)."""

    close_code = 1008


class ConnectionClosed(WebSocketException, RuntimeError):
    """
    Something was sent to, or awaited from, a connection that has ended.

    It is a :exc:`RuntimeError` too, because that is what ws4py raised.
    """

    close_code = 1006

    def __init__(self, message: str, code: int = 1006, reason: str = "") -> None:
        super().__init__(message)
        #: The close code of the connection; 1006 when it was lost or is not known.
        self.code = code
        self.reason = reason


class HandshakeError(WebSocketException):
    """
    The opening handshake is refused; the error is the HTTP answer.

    Args:
        msg: One line for the person at the other end: what was wrong, what would be right.
        status: The HTTP status of the answer.
        headers: Headers that the answer must have, such as ``Sec-WebSocket-Version``.
        body: What a server said beside that, or the beginning of it; for clients.

    A client that was refused finds the server's answer here; the status is 0 when there was none.
    """

    def __init__(
        self, msg: str, status: int = 400, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        super().__init__(msg)
        self.msg = msg
        self.status = status
        self.headers = tuple(headers)
        self.body = body

    def __str__(self) -> str:
        return self.msg


class HandoverError(HandshakeError):
    """
    The web server keeps its socket out of reach (501).

    The message names the server and says what to do instead. It is raised
    before anything of the server was touched.
    """

    def __init__(self, msg: str, status: int = 501, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(msg, status, headers)


class StreamClosed(Exception):
    """ws4py's name for a stream that takes no more bytes; not a :exc:`WebSocketException` there either."""


def find_leaving_code(error: BaseException | None) -> int:
    """
    Return the close code for a ``with`` block that has ended, :rfc:`6455#section-7.4.1`.

    Args:
        error: What it was left with: 1011 for an error, 1001 for an end that came from outside, such as
            Ctrl-C or the cancellation of a task.

    >>> find_leaving_code(None), find_leaving_code(KeyError()), find_leaving_code(KeyboardInterrupt())
    (1000, 1011, 1001)
    """
    if error is None:
        return 1000
    return 1011 if isinstance(error, Exception) else 1001
