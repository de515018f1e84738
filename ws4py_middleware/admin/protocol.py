"""
What is said on the socket: one JSON object in a line, each way.

::

    → {"command": "list", "route": "/chat/<room>", "limit": 100}
    ← {"ok": true, "pid": 4711, "connections": [...], "total": 12, "next": null}
    → {"command": "shwo"}
    ← {"ok": false, "error": "there is no command 'shwo'; did you mean 'show'?"}

Everything here is bounded: a line that is too long, or does not come in time, ends the conversation. All
of it is ASCII.
"""

from __future__ import annotations

import json
from time import monotonic
from typing import Any, Protocol

__all__ = ["MAX_ANSWER", "MAX_PAGE", "MAX_REQUEST", "TIMEOUT", "AdminError", "LineReader", "decode", "encode"]

#: Most bytes of a request, and of an answer.
MAX_REQUEST = 8 * 1024
MAX_ANSWER = 16 * 2**20

#: Most connections in one answer.
MAX_PAGE = 500

#: How long a request may take to come, and an answer to go; seconds.
TIMEOUT = 5.0


class AdminError(Exception):
    """What was asked for makes no sense, or was not answered; the message is for whoever asked."""


class Socket(Protocol):
    """As much of a socket as is needed here."""

    def recv(self, size: int, /) -> bytes: ...
    def settimeout(self, seconds: float | None, /) -> None: ...


class LineReader:
    """
    Read lines from a socket.

    Args:
        sock: Its timeout is set before each read.
        limit: Most bytes of a line, its end included.
    """

    def __init__(self, sock: Socket, limit: int) -> None:
        self._sock = sock
        self._limit = limit
        self._buffer = bytearray()

    def read(self, timeout: float) -> bytes | None:
        """
        Read a line, without its end.

        Args:
            timeout: The seconds that all of it may take.

        Returns:
            ``None`` when there are no more; what stands behind the last line's end is none.

        Raises:
            AdminError: The line is too long.
            TimeoutError: It has not come in time.
            OSError: The connection is lost.
        """
        deadline = monotonic() + timeout
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched >= self._limit:
                break
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError(f"no whole line within {timeout:g} s")
            self._sock.settimeout(left)
            data = self._sock.recv(min(65536, self._limit - searched))
            if not data:
                return None
            self._buffer += data
        if not 0 <= end < self._limit:
            raise AdminError(f"a line has at most {self._limit} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def encode(message: dict[str, Any]) -> bytes:
    r"""
    Make a line.

    >>> encode({"ok": True, "route": "/tür"})
    b'{"ok": true, "route": "/t\\u00fcr"}\n'
    """
    return json.dumps(message).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """
    Take a line apart.

    Raises:
        AdminError: It is not one JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise AdminError("this is not JSON; each line is one object") from None
    if not isinstance(message, dict):
        raise AdminError("this is JSON, but no object; each line is one")
    return message
