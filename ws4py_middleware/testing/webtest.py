"""
webtest's ``TestApp``, which has WebSockets, too.

::

    from ws4py_middleware.testing.webtest import TestApp

    def test_who_has_logged_in_may_chat():
        site = TestApp(app)
        site.post("/login", {"name": "Ann"})
        with site.websocket("/chat/blue") as ws:       # with the cookies that the login has set
            ws.send("hi")
            assert ws.receive() == "Ann: hi"
"""

from __future__ import annotations

import urllib.request
import warnings
from collections.abc import Iterable, Mapping
from email.message import Message
from typing import Any

from ..extras import needs
from .client import WebSocketTestClient
from .clocks import VirtualClock
from .responses import HandshakeRefused
from .sessions import WebSocketSession

with needs("webtest", "testing", __name__), warnings.catch_warnings():
    # WebOb imports cgi, which Python 3.11 and 3.12 warn of.
    warnings.simplefilter("ignore", DeprecationWarning)
    import webtest

__all__ = ["TestApp"]


class TestApp(webtest.TestApp):  # type: ignore[misc, unused-ignore]  # its base has no types
    """
    webtest's ``TestApp`` with :meth:`websocket`; cookies, ``extra_environ`` and ``authorization`` are shared.

    Attributes:
        client: The client that opens the WebSockets; ``client.clock`` passes the time.
    """

    __test__ = False  # pytest is not to collect it

    def __init__(self, app: Any, *args: Any, clock: VirtualClock | None = None, **options: Any) -> None:
        super().__init__(app, *args, **options)
        self.client = WebSocketTestClient(app, clock=clock)

    @property
    def clock(self) -> Any:
        """What passes the time: ``site.clock.advance(20)``."""
        return self.client.clock

    def websocket(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        environ: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> WebSocketSession:
        """
        Open a WebSocket, as the same visitor.

        Args:
            path: Path and query.
            headers: Further headers.
            environ: What is added to the environ, beside ``extra_environ``.
            options: As for :meth:`~ws4py_middleware.testing.client.Client.connect`.

        Raises:
            HandshakeRefused: The answer is no WebSocket; the error has it.
        """
        extras = {**self.extra_environ, **(environ or {})}
        self.client.authority = authority = extras.pop("HTTP_HOST", "localhost:80").removesuffix(":80")
        own = dict(headers.items() if isinstance(headers, Mapping) else headers)
        asked = urllib.request.Request(f"http://{authority}{path}")
        self.cookiejar.add_cookie_header(asked)
        cookie = asked.get_header("Cookie")
        if cookie is not None:
            own.setdefault("Cookie", cookie)
        try:
            session = self.client.connect(path, headers=own, environ=extras, **options)
        except HandshakeRefused as refused:
            self._keep_cookies(asked, refused.headers)
            raise
        self._keep_cookies(asked, session.headers)
        return session

    def _keep_cookies(self, asked: Any, headers: Iterable[tuple[str, str]]) -> None:
        answer: Any = _Answer(headers)
        self.cookiejar.extract_cookies(answer, asked)
        self.client.cookies.clear()  # they are the jar's


class _Answer:
    """An answer as a cookie jar looks at it."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._message = Message()
        for name, value in headers:
            self._message[name] = value

    def info(self) -> Message:
        return self._message
