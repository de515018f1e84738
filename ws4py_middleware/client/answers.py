"""
An answer to a request, a server's or a proxy's, read as a part of a conversation.

Whatever the peer does, the only exceptions are :exc:`~ws4py_middleware.exc.HandshakeError`
and :exc:`TimeoutError`; no more is kept than the policy lets a head, and :data:`MAX_BODY` a body, have.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from ..core.headers import get_all
from ..core.http11 import Response, ResponseHead
from ..core.policy import Policy
from ..exc import HandshakeError
from .steps import OPENING, Receive, Send, Step

__all__ = [
    "MAX_BODY",
    "Answer",
    "Part",
    "ask",
    "describe",
    "parse_fields",
    "parse_line",
    "read_body",
    "receive",
]

_T = TypeVar("_T")

#: A part of a conversation, and what it finds out.
Part = Generator[Step, Any, _T]

#: Most of a refusal's body that is kept.
MAX_BODY = 64 * 1024

#: Longest time that a refusal's body takes: by then it is known that there is no WebSocket.
_BODY_TIME = 2.0

#: Most answers before the final one, such as 103 Early Hints.
_MAX_INTERIM = 8

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


class Answer(NamedTuple):
    """The head of a response, and what came behind it."""

    #: The status line, and the lines of the headers, as they were sent.
    line: bytes
    lines: bytes
    status: int
    headers: Sequence[tuple[str, str]]
    rest: bytes


def ask(request: bytes, policy: Policy, *, who: str = "the server", what: str = OPENING) -> Part[Answer]:
    """
    Send a request, and read the head of the final answer.

    Args:
        policy: What an answer may cost.
        who: Whoever is asked, for the messages.
        what: What this is called in the message of a time-out.

    Raises:
        HandshakeError: There is no answer, or it is too large, or the connection ends before it does.
        TimeoutError: It was not there in time, however steadily it came.
    """
    # Who takes no more of a request has perhaps answered already.
    with contextlib.suppress(ConnectionError):
        yield Send(request, what)
    data = b""
    for _ in range(_MAX_INTERIM + 1):
        head = ResponseHead(policy)
        pieces = [data]
        while (response := head.feed(pieces[-1])) is None:
            pieces.append((yield from receive(who, what)))
            if not pieces[-1]:
                said = sum(map(len, pieces))
                when = f"behind {said} bytes of its answer" if said else "without an answer"
                raise HandshakeError(f"{who} closed the connection {when}", 0)
        data = head.rest
        if response.status == 101 or response.status >= 200:
            whole = b"".join(pieces)
            line, _, lines = whole[: len(whole) - len(data) - 4].partition(b"\r\n")
            return Answer(line, lines, response.status, response.headers, data)
    raise HandshakeError(f"{who} sends one interim answer after the other", 0)


def receive(who: str, what: str) -> Part[bytes]:
    """
    Wait for bytes of somebody who owes an answer; ``b""`` is the end.

    Raises:
        HandshakeError: The connection was lost.
        TimeoutError: Nothing came in time.
    """
    try:
        return bytes((yield Receive(what=what)))
    except TimeoutError:
        raise
    except OSError as error:
        raise HandshakeError(f"the connection was lost before {who}'s answer: {error}", 0) from error


def describe(response: Response) -> str:
    """
    Return what was answered, for a message.

    >>> describe(Response(404, [], "Not Found", "HTTP/1.1"))
    '404 Not Found'
    """
    reason = response.reason[:80] if response.reason.isascii() else ""
    return f"{response.status} {reason}".strip()


def parse_line(line: bytes, policy: Policy) -> Response:
    """
    Parse a status line.

    Raises:
        HandshakeError: It is none.
    """
    return _parse(line + b"\r\n\r\n", policy)


def parse_fields(lines: bytes, policy: Policy) -> Sequence[tuple[str, str]]:
    """
    Parse the lines of the headers, without the empty one.

    Raises:
        HandshakeError: One is none, or there are too many.
    """
    return _parse(b"HTTP/1.1 101\r\n" + lines + (b"\r\n\r\n" if lines else b"\r\n"), policy).headers


def _parse(head: bytes, policy: Policy) -> Response:
    response = ResponseHead(policy).feed(head)
    assert response is not None  # there is an empty line
    return response


def read_body(answer: Answer) -> Part[bytes]:
    """Read the body of a refusal: as much of it as comes soon and may be kept. Raises nothing of its own."""
    lengths = get_all(answer.headers, "Content-Length")
    is_chunked = bool(get_all(answer.headers, "Transfer-Encoding"))
    wanted = MAX_BODY
    if not is_chunked and lengths and lengths[0].isdecimal():
        wanted = min(int(lengths[0][:9]), MAX_BODY)
    data = answer.rest
    until = monotonic() + _BODY_TIME
    with contextlib.suppress(OSError):
        while len(data) < wanted and not (is_chunked and data.endswith(b"0\r\n\r\n")):
            left = until - monotonic()
            chunk = (yield Receive(left)) if left > 0 else None
            if not chunk:
                break
            data += chunk
    return _join_chunks(data) if is_chunked else data[:wanted]


def _join_chunks(data: bytes) -> bytes:
    """Take the body out of its chunks, as far as they go."""
    body = b""
    position = 0
    while (match := _CHUNK.match(data, position)) and (size := int(match[1], 16)):
        body += data[match.end() : match.end() + size]
        position = match.end() + size + 2
    return body[:MAX_BODY]
