"""The client of a test: it connects, and asks for pages, whatever kind of application is behind it."""

from __future__ import annotations

import inspect
import json as json_module
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ..core.handshake import Request, build_key, check_response, request_headers
from ..core.http11 import ResponseHead
from ..core.policy import Policy
from .clocks import Clock, VirtualClock
from .failures import NoMessage
from .hosts import Host
from .responses import HandshakeRefused, Response, keep_cookies
from .sessions import WebSocketSession
from .wires import Wire

__all__ = ["Client", "WebSocketTestClient"]

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Extras = Mapping[str, Any]

#: What may stand in a path as it is; the rest is encoded.
_SAFE = "/%:@!$&'()*+,;=-._~"


class Client:
    """
    What the client of an application in memory and that of a running server have in common.

    Args:
        host: Whom requests go to.
        authority: The ``Host`` of the requests.
        secure: Whether they seem to come through TLS.
        timeout: How long is waited where nothing else is said; seconds.

    Attributes:
        cookies: Sent with each request; answers may add to them.
        headers: Sent with each request.
    """

    def __init__(self, host: Host, authority: str, *, secure: bool = False, timeout: float = 5.0) -> None:
        self.authority = authority
        self.secure = secure
        self.timeout = timeout
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        #: Those that were opened, oldest first.
        self.sessions: list[WebSocketSession] = []
        self._host = host

    @property
    def clock(self) -> Clock:
        """What passes the time: ``client.clock.advance(20)``."""
        return self._host.clock

    # --- WebSockets ----------------------------------------------------------------------------

    def connect(
        self,
        path: str,
        *,
        headers: Headers = (),
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        cookies: Mapping[str, str] | None = None,
        compression: bool = False,
        timeout: float | None = None,
        environ: Extras | None = None,
        scope: Extras | None = None,
    ) -> WebSocketSession:
        """
        Open a WebSocket.

        ::

            with client.connect("/chat/blue?name=Ann", subprotocols=["chat.v1"]) as ws:
                ws.send("hi")
                assert ws.receive() == "hi"

        Args:
            path: Path and query; what is not ASCII is encoded.
            headers: Further headers.
            subprotocols: Those that are offered, the best first.
            origin: The page that asks, as a browser says it: ``"https://example.com"``.
            cookies: Further cookies, for this request only.
            compression: Whether permessage-deflate is offered.
            timeout: How long the WebSocket waits where nothing else is said; by default the client's.
            environ: What a WSGI server would add to the environ, such as ``REMOTE_USER``.
            scope: What an ASGI server would add to the scope.

        Raises:
            HandshakeRefused: The answer is no WebSocket; the error has it.
            TypeError: There is no such thing as an environ, or a scope, here.
        """
        policy = Policy(
            subprotocols=list(subprotocols),
            compression=compression,
            max_message_size=None,
            ping_interval=None,
            write_timeout=None,
            close_timeout=None,
        )
        key = build_key(os.urandom(16))
        target = _encode(path)
        fields = request_headers(self.authority, policy, key, self._fields(headers, cookies), origin=origin)
        request = Request("GET", target, "HTTP/1.1", fields, secure=self.secure)
        wire = self._host.open(request, self._extras(environ, scope))
        if isinstance(wire, Response):
            keep_cookies(self.cookies, wire.headers)
            raise HandshakeRefused(target, wire)
        limit = self.timeout if timeout is None else timeout
        parser = ResponseHead(policy)
        head = self._read_head(wire, parser, target, limit)
        keep_cookies(self.cookies, head.headers)
        upgrade = check_response(head.status, head.headers, key, policy)
        session = WebSocketSession(wire, self.clock, upgrade, policy, target, limit, parser.rest)
        self.sessions.append(session)
        self.clock.settle()
        return session

    def _read_head(self, wire: Wire, parser: ResponseHead, target: str, timeout: float) -> Any:
        head: Any = None

        def read() -> bool:
            nonlocal head
            while head is None and (data := wire.read()):
                head = parser.feed(data)
            return head is not None

        if not self.clock.run(read, timeout):
            wire.reset()
            raise NoMessage(f"{target}: the opening handshake was not answered within {timeout:g} s")
        return head

    # --- HTTP ----------------------------------------------------------------------------------

    def get(self, path: str, *, headers: Headers = ()) -> Response:
        """Ask for a page; redirects are not followed."""
        return self.request("GET", path, headers=headers)

    def post(
        self,
        path: str,
        data: bytes | str | Mapping[str, str] = b"",
        *,
        json: Any = None,
        headers: Headers = (),
    ) -> Response:
        """
        Send something.

        Args:
            path: Path and query.
            data: The body, or the fields of a form.
            json: In place of ``data``: what is sent as JSON.
            headers: Further headers.
        """
        kind = None
        if json is not None:
            data, kind = json_module.dumps(json), "application/json"
        elif isinstance(data, Mapping):
            data, kind = urlencode(data), "application/x-www-form-urlencoded"
        fields = list(_items(headers))
        if kind is not None and not any(name.lower() == "content-type" for name, _ in fields):
            fields.append(("Content-Type", kind))
        return self.request("POST", path, data.encode() if isinstance(data, str) else data, headers=fields)

    def request(self, method: str, path: str, body: bytes = b"", *, headers: Headers = ()) -> Response:
        """Send a request of any other kind."""
        fields = [("Host", self.authority), *self._fields(headers, None)]
        if body:
            fields.append(("Content-Length", str(len(body))))
        request = Request(method, _encode(path), "HTTP/1.1", fields, secure=self.secure)
        response = self._host.ask(request, body, {})
        keep_cookies(self.cookies, response.headers)
        return response

    # --- the end -------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Let the server end, as a deploy does: it closes all connections with 1001, and refuses new ones."""
        self._host.shutdown()

    def forget(self) -> None:
        """Cut what is still open, and forget all cookies: the next test is another visitor."""
        for session in self.sessions:
            session.cut()
        self.sessions.clear()
        self.cookies.clear()
        self.headers.clear()

    def close(self) -> None:
        """Cut the connections that are still open, and end what is behind. Again does nothing."""
        try:
            for session in self.sessions:
                session.cut()
        finally:
            self._host.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside --------------------------------------------------------------------------------

    def _fields(self, headers: Headers, cookies: Mapping[str, str] | None) -> list[tuple[str, str]]:
        own = list(_items(headers))
        names = {name.lower() for name, _ in own}
        fields = [(name, value) for name, value in self.headers.items() if name.lower() not in names]
        sent = {**self.cookies, **(cookies or {})}
        if sent and "cookie" not in names:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in sent.items())))
        return fields + own

    def _extras(
        self, environ: Mapping[str, Any] | None, scope: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        if environ is not None or scope is not None:
            raise TypeError("a running server makes its environ, or scope, itself")
        return {}


class WebSocketTestClient(Client):
    """
    A client of an application in memory: there is no server, no port, and no thread.

    ::

        from ws4py_middleware.testing import WebSocketTestClient

        with WebSocketTestClient(app) as client:
            with client.connect("/chat/blue") as ws:
                ws.send("hi")
                assert ws.receive() == "hi"

    What runs is the application, its handlers and all that drives them. What does not is the server, and the
    time: :attr:`clock` moves when the test says so, or when it waits.

    Args:
        app: A WSGI or ASGI application, or one of CherryPy or its tree.
        interface: ``"wsgi"``, ``"asgi"`` or ``"cherrypy"``; by default that is found out.
        authority: The ``Host`` of the requests.
        secure: Whether they seem to come through TLS.
        timeout: How long is waited where nothing else is said; seconds, of the clock.
        clock: Another client's, for two applications in one test.

    Raises:
        TypeError: The application is none.
    """

    def __init__(
        self,
        app: Any,
        *,
        interface: str | None = None,
        authority: str = "testserver",
        secure: bool = False,
        timeout: float = 5.0,
        clock: VirtualClock | None = None,
    ) -> None:
        if not callable(app):
            raise TypeError(f"app is {app!r}; it is a WSGI or ASGI application, such as Flask's app")
        self.app = app
        self.interface = find_interface(app) if interface is None else interface
        host = _make_host(app, self.interface, VirtualClock() if clock is None else clock)
        super().__init__(host, authority, secure=secure, timeout=timeout)

    def _extras(
        self, environ: Mapping[str, Any] | None, scope: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        if environ is not None and self.interface == "asgi":
            raise TypeError("an ASGI application has a scope, and no environ")
        if scope is not None and self.interface != "asgi":
            raise TypeError("a WSGI application has an environ, and no scope")
        return environ or scope or {}


def find_interface(app: Any) -> str:
    """
    Tell what kind of application it is: ``"wsgi"``, ``"asgi"`` or ``"cherrypy"``.

    >>> async def app(scope, receive, send): ...
    >>> find_interface(app)
    'asgi'
    """
    cherrypy = sys.modules.get("cherrypy")
    if cherrypy is not None and isinstance(app, cherrypy.Application | type(cherrypy.tree)):
        return "cherrypy"
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)
    return "asgi" if is_async else "wsgi"


def _make_host(app: Any, interface: str, clock: Clock) -> Host:
    if interface == "wsgi":
        from .wsgi import WSGIHost

        return WSGIHost(app, clock)
    if interface == "asgi":
        from .asgi import ASGIHost

        return ASGIHost(app, clock)
    if interface == "cherrypy":
        from .cherrypy import CherryPyHost

        return CherryPyHost(app, clock)
    raise ValueError(f"interface is {interface!r}; it is wsgi, asgi or cherrypy")


def _items(headers: Headers) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _encode(path: str) -> str:
    head, mark, query = path.partition("?")
    encoded = quote(head, safe=_SAFE)
    return f"{encoded}{mark}{quote(query, safe=_SAFE + '?')}"
