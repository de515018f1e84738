"""
A server's answer to the opening handshake, read from a blocking socket within one deadline.

Whatever the server does, the only exceptions are :exc:`~ws4py_middleware.exc.HandshakeError`
and :exc:`TimeoutError`; no more is kept than the policy lets a head, and :data:`MAX_BODY` a body, have.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core.headers import get_all
from ..core.http11 import Response, ResponseHead
from ..core.policy import Policy
from ..exc import HandshakeError
from .dialing import Deadline

__all__ = ["MAX_BODY", "Answer", "parse_fields", "parse_line", "read_answer", "read_body", "send_request"]

#: Most of a refusal's body that is kept.
MAX_BODY = 64 * 1024

#: Longest time that a refusal's body takes: by then it is known that there is no WebSocket.
_BODY_TIME = 2.0

#: Most answers before the final one, such as 103 Early Hints.
_MAX_INTERIM = 8

_STEP = "the opening handshake"
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


class Answer(NamedTuple):
    """The head of a response, and what came behind it."""

    #: The status line, and the lines of the headers, as they were sent.
    line: bytes
    lines: bytes
    status: int
    headers: Sequence[tuple[str, str]]
    rest: bytes


def send_request(sock: Any, request: bytes, deadline: Deadline) -> None:
    """
    Send the request; a server that takes no more of it has perhaps answered already.

    Raises:
        TimeoutError: It was not taken in time.
    """
    with contextlib.suppress(ConnectionError), deadline.guard(sock, _STEP):
        sock.sendall(request)


def read_answer(sock: Any, deadline: Deadline, policy: Policy) -> Answer:
    """
    Read the head of the final answer.

    Raises:
        HandshakeError: It is none, or too large, or the connection ends before it does.
        TimeoutError: It was not there in time, however steadily it came.
    """
    data = b""
    for _ in range(_MAX_INTERIM + 1):
        head = ResponseHead(policy)
        pieces = [data]
        while (response := head.feed(pieces[-1])) is None:
            pieces.append(_receive(sock, deadline))
            if not pieces[-1]:
                said = sum(map(len, pieces))
                when = f"behind {said} bytes of its answer" if said else "without an answer"
                raise HandshakeError(f"the server closed the connection {when}", 0)
        data = head.rest
        if response.status == 101 or response.status >= 200:
            whole = b"".join(pieces)
            line, _, lines = whole[: len(whole) - len(data) - 4].partition(b"\r\n")
            return Answer(line, lines, response.status, response.headers, data)
    raise HandshakeError("the server sends one interim answer after the other", 0)


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


def read_body(sock: Any, deadline: Deadline, answer: Answer) -> bytes:
    """Read the body of a refusal: as much of it as comes soon and may be kept. Never raises."""
    lengths = get_all(answer.headers, "Content-Length")
    is_chunked = bool(get_all(answer.headers, "Transfer-Encoding"))
    wanted = MAX_BODY
    if not is_chunked and lengths and lengths[0].isdecimal():
        wanted = min(int(lengths[0][:9]), MAX_BODY)
    data = answer.rest
    with contextlib.suppress(OSError, HandshakeError):
        left = deadline.left(_STEP)
        soon = Deadline(_BODY_TIME if left is None else min(left, _BODY_TIME))
        while len(data) < wanted and not (is_chunked and data.endswith(b"0\r\n\r\n")):
            chunk = _receive(sock, soon)
            if not chunk:
                break
            data += chunk
    return _join_chunks(data) if is_chunked else data[:wanted]


def _receive(sock: Any, deadline: Deadline) -> bytes:
    try:
        with deadline.guard(sock, _STEP):
            return bytes(sock.recv(65536))
    except TimeoutError:
        raise
    except OSError as error:
        raise HandshakeError(f"the connection was lost before the server's answer: {error}", 0) from error


def _join_chunks(data: bytes) -> bytes:
    """Take the body out of its chunks, as far as they go."""
    body = b""
    position = 0
    while (match := _CHUNK.match(data, position)) and (size := int(match[1], 16)):
        body += data[match.end() : match.end() + size]
        position = match.end() + size + 2
    return body[:MAX_BODY]
