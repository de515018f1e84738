"""HTTP answers, as a test reads them, and the one that is in place of a WebSocket."""

from __future__ import annotations

import http
import json
from collections.abc import Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from ..core.headers import get_all
from ..exc import HandshakeError

__all__ = ["HandshakeRefused", "Response", "keep_cookies"]

#: How much of a body stands in the message of an error.
_SHOWN = 200


class Response:
    """
    An HTTP answer.

    Args:
        status: Such as 200.
        headers: All of them, in order.
        body: Decoded from whatever it was sent in.

    >>> response = Response(200, [("Content-Type", "application/json")], b'{"rooms": 2}')
    >>> response.json(), response.header("content-type")
    ({'rooms': 2}, 'application/json')
    """

    def __init__(self, status: int, headers: Iterable[tuple[str, str]], body: bytes = b"") -> None:
        self.status = status
        self.headers = list(headers)
        self.body = body

    def header(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a header; case does not matter."""
        return next(iter(get_all(self.headers, name)), default)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """
        Return what the body says.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(self.body)

    @property
    def status_line(self) -> str:
        """The status and what it is called: ``"403 Forbidden"``."""
        try:
            return f"{self.status} {http.HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)

    def __repr__(self) -> str:
        return f"<Response {self.status_line}, {len(self.body)} bytes>"


class HandshakeRefused(HandshakeError):
    """
    The application has answered the opening handshake with something else than a WebSocket.

    ::

        with pytest.raises(HandshakeRefused) as refused:
            client.connect("/chat/secret")
        assert refused.value.status == 403
        assert "members only" in refused.value.text

    It has the answer: :attr:`response`, and of that ``status``, ``headers``, ``body`` and ``text``.
    """

    def __init__(self, target: str, response: Response) -> None:
        shown = response.text.strip()
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        message = f"{target} was refused with {response.status_line}"
        location = response.header("Location")
        message += f", to {location}" if location is not None else ""
        message += f": {shown}" if shown else ""
        super().__init__(message, response.status, response.headers, response.body)
        self.response = response

    @property
    def text(self) -> str:
        """The body as text."""
        return self.response.text


def keep_cookies(cookies: MutableMapping[str, str], headers: Iterable[tuple[str, str]]) -> None:
    """
    Take the cookies that an answer sets, and forget those that it ends.

    >>> kept = {"a": "1", "b": "2"}
    >>> keep_cookies(kept, [("Set-Cookie", "a=3; Path=/"), ("Set-Cookie", "b=; Max-Age=0")])
    >>> kept
    {'a': '3'}
    """
    for value in get_all(list(headers), "Set-Cookie"):
        try:
            jar = SimpleCookie(value)
        except CookieError:
            continue
        for name, morsel in jar.items():
            if morsel["max-age"] == "0" or morsel["expires"].startswith("Thu, 01 Jan 1970"):
                cookies.pop(name, None)
            else:
                cookies[name] = morsel.value
