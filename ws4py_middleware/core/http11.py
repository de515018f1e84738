r"""
Heads of HTTP/1.1, read as they come: requests for servers, responses for clients.

A head is a start line and headers, each ended by CRLF, and an empty line. Nothing is guessed
(:rfc:`9112`): a bare LF, a folded line, a space before the colon or a control character is an error,
because what one reader forgives, the proxy in front of it may have read in another way.

>>> head = RequestHead(Policy())
>>> head.feed(b"GET /chat HTTP/1.1\r\nHo")
>>> head.feed(b"st: example.com\r\n\r\n\x81\x82").headers
[('Host', 'example.com')]
>>> head.rest
b'\x81\x82'
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from ..exc import HandshakeError
from .handshake import Request
from .headers import quote
from .policy import Policy

__all__ = ["RequestHead", "Response", "ResponseHead"]

_TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
_FIRST = re.compile(rb"[%s]" % _TCHAR)
_REQUEST = re.compile(rb"([%s]+) ([\x21-\x7e]+) (HTTP/[0-9]\.[0-9])" % _TCHAR)
_STATUS = re.compile(rb"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(rb"([%s]+):([\t\x20-\x7e\x80-\xff]*)" % _TCHAR)


class Response(NamedTuple):
    """The head of a response."""

    status: int
    headers: Sequence[tuple[str, str]]
    #: What the server calls the status; often nothing.
    reason: str
    #: Such as ``"HTTP/1.1"``.
    http_version: str


class _Head(ABC):
    """What both kinds of heads have in common; bytes are looked at once, however they are split."""

    #: The status of an error of the grammar, and of one of the limits.
    _malformed: int
    _too_large: int
    _subject: str

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        #: Whether all of the head has come.
        self.is_complete = False
        #: What came behind the head: the first frames, or a body.
        self.rest = b""
        self._headers: list[tuple[str, str]] = []
        self._line = bytearray()  # that is not complete yet
        self._size = 0  # of all complete lines
        self._has_start = False
        self._error: HandshakeError | None = None

    def _feed(self, data: bytes) -> bool:
        """Take the lines out of ``data``; return whether the head is complete."""
        if self._error is not None:
            raise self._error
        if self.is_complete:
            raise RuntimeError("the head is complete; what comes behind it goes elsewhere")
        try:
            self._take_lines(data)
        except HandshakeError as error:
            self._error = error
            self._line.clear()
            raise
        return self.is_complete

    def _take_lines(self, data: bytes) -> None:
        start = 0
        while not self.is_complete:
            end = data.find(b"\n", start)
            if end < 0:
                self._line += data[start:]
                self._check_size(self._line)
                return
            line = bytes(self._line) + data[start : end + 1]
            self._line.clear()
            start = end + 1
            self._check_size(line[:-1])
            self._size += len(line)
            self._check_head_size(self._size)
            if not line.endswith(b"\r\n"):
                raise self._fail("a line of it ends with a bare LF; lines end with CR LF")
            self._take_line(line[:-2])
        self.rest = bytes(data[start:])

    def _check_size(self, line: bytes | bytearray) -> None:
        """Check a line without its LF, complete or not."""
        if len(line) - line.endswith(b"\r") > self.policy.max_header_line:
            reason = f"a line of it is longer than {self.policy.max_header_line} bytes"
            raise self._fail(reason, self._too_large)
        self._check_head_size(self._size + len(line))

    def _check_head_size(self, size: int) -> None:
        if size > self.policy.max_head_size:
            raise self._fail(f"it is larger than {self.policy.max_head_size} bytes", self._too_large)

    def _take_line(self, line: bytes) -> None:
        if not self._has_start:
            self._has_start = True
            self._take_start(line)
        elif not line:
            self.is_complete = True
        else:
            self._take_field(line)

    @abstractmethod
    def _take_start(self, line: bytes) -> None:
        """Parse the first line."""

    def _take_field(self, line: bytes) -> None:
        if len(self._headers) == self.policy.max_headers:
            raise self._fail(f"it has more than {self.policy.max_headers} headers", self._too_large)
        field = _FIELD.fullmatch(line)
        if field is None:
            folded = line[:1] in (b" ", b"\t")
            why = "which continues the one before; no line may" if folded else "which is no header"
            raise self._fail(f"it has the line {_show(line)}, {why}")
        self._headers.append((field[1].decode("ascii"), field[2].strip(b" \t").decode("latin-1")))

    def _fail(self, reason: str, status: int | None = None) -> HandshakeError:
        status = self._malformed if status is None else status
        # A client has nobody to answer to.
        headers = [("Connection", "close")] if status else []
        return HandshakeError(f"the head of the {self._subject} is refused: {reason}", status, headers)


class RequestHead(_Head):
    """
    The head of a request, for a server.

    Args:
        policy: ``max_headers``, ``max_header_line`` and ``max_head_size``.
        secure: Whether the bytes come through TLS.
    """

    _malformed = 400
    _too_large = 431
    _subject = "request"

    def __init__(self, policy: Policy, *, secure: bool = False) -> None:
        super().__init__(policy)
        self._secure = secure
        self._start = ("", "", "")

    def feed(self, data: bytes) -> Request | None:
        """
        Take bytes in the order they came from the network, in any pieces.

        Returns:
            The request, once; ``None`` while some of its head is missing. What came behind
            it is in :attr:`rest`.

        Raises:
            HandshakeError: It is none, or too large; the error is the answer: 400, 431, or 505
                for another version than HTTP/1. It is raised again for whatever follows.
            RuntimeError: The head was complete.
        """
        if not self._feed(data):
            return None
        method, target, version = self._start
        return Request(method, target, version, self._headers, secure=self._secure)

    def _take_lines(self, data: bytes) -> None:
        # At once, because whoever speaks another protocol, such as TLS, may not send a line at all.
        if data and not self._has_start and not self._line and not _FIRST.match(data):
            raise self._fail(f"it begins with {_show(data[:1])}, no HTTP request does")
        super()._take_lines(data)

    def _take_start(self, line: bytes) -> None:
        match = _REQUEST.fullmatch(line)
        if match is None:
            raise self._fail(f"it begins with {_show(line)}, which is no request line")
        self._start = (match[1].decode(), match[2].decode(), match[3].decode())
        if not self._start[2].startswith("HTTP/1."):
            raise self._fail(f"it came as {self._start[2]}; HTTP/1.1 is spoken here", 505)


class ResponseHead(_Head):
    """
    The head of a response, for a client. One to each: an interim one has the next behind it.

    Args:
        policy: ``max_headers``, ``max_header_line`` and ``max_head_size``.
    """

    _malformed = _too_large = 0
    _subject = "response"

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._start = ("", 0, "")

    def feed(self, data: bytes) -> Response | None:
        """
        Take bytes in the order they came from the network, in any pieces.

        Returns:
            The head, once; ``None`` while some of it is missing. What came behind it is in
            :attr:`rest`.

        Raises:
            HandshakeError: It is none, or too large; the status is 0. It is raised again for
                whatever follows.
            RuntimeError: The head was complete.
        """
        if not self._feed(data):
            return None
        version, status, reason = self._start
        return Response(status, self._headers, reason, version)

    def _take_start(self, line: bytes) -> None:
        match = _STATUS.fullmatch(line)
        if match is None:
            raise self._fail(f"it begins with {_show(line)}, which is no status line of HTTP/1")
        self._start = (match[1].decode(), int(match[2]), (match[3] or b"").decode("latin-1"))


def _show(line: bytes) -> str:
    return quote(line.decode("latin-1"))
