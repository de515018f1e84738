"""
Clients: the same WebSocket as the servers', seen from the other end.

::

    from ws4py_middleware.client import WebSocketBaseClient

    with WebSocketBaseClient("wss://example.com/chat", protocols=["chat"]) as client:
        client.send("hello")
        for message in client:
            print(message)

:class:`WebSocketBaseClient` starts no thread: it runs in its caller's, while that waits for
something; or in a :class:`~ws4py_middleware.manager.WebSocketManager`, with thousands of others.

=============  =====================================================================
``urls``       what a URL says
``dialing``    from there to a connected socket, in TLS or not
``answers``    what the server says to the request
``pump``       the loop of a client that no manager has
=============  =====================================================================
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from ..core.connection import Connection
from ..core.extensions.base import Extension
from ..core.handshake import Upgrade, build_key, check_response, check_target, request_headers
from ..core.headers import build_head, get_all, parse_extensions
from ..core.policy import Policy
from ..core.types import Buffer, Side, State
from ..direct import SourceTransport
from ..exc import ConnectionClosed, HandshakeError
from ..handover import from_socket
from ..link import Link, TransportLike
from ..messaging import Message
from ..websocket import WebSocket
from .answers import Answer, parse_fields, parse_line, read_answer, read_body, send_request
from .dialing import Deadline, SSLOptions, connect_tcp, connect_unix, get_server_name, make_context, wrap
from .pump import Pump
from .urls import build_basic_auth, build_host, parse_url

__all__ = ["WebSocketBaseClient", "socket"]

_Client = TypeVar("_Client", bound="WebSocketBaseClient")


class WebSocketBaseClient(WebSocket):
    """
    A WebSocket that connects to a server.

    Nothing is looked up and nothing opened before :meth:`connect`, which may be called again
    when the connection has ended. The hooks are called in the thread of whoever waits:
    in :meth:`run`, :meth:`once`, :meth:`receive`, :meth:`send`; or in that of the manager
    that the client was added to.

    Args:
        url: ``ws://host:port/path?query``, ``wss://…``, ``ws+unix:///path/of/the/socket`` or
            ``wss+unix://…``, whose ``/`` is asked for unless :attr:`resource` is set. A user and
            password in it are sent as basic authentication.
        protocols: The subprotocols to offer, best first; afterwards the one that was agreed on.
        extensions: ``["permessage-deflate"]`` is ``compression=True``; there is no other.
        heartbeat_freq: Seconds between two pings; by default ``policy.ping_interval``.
        ssl_options: A context, or a dictionary of settings, see :func:`.dialing.make_context`. By
            default the server's certificate and its host name are verified;
            ``{"cert_reqs": ssl.CERT_NONE}`` does without.
        headers: Further headers of the request, pairs or a mapping; also ``Host`` and ``Origin``.
        exclude_headers: Names of headers not to send.
        policy: The limits and times; by default those of the class.
        settings: Settings of the policy by name, such as ``max_message_size=65536``.

    Raises:
        ValueError: The URL is none, or has a fragment; or a header cannot be sent.
        TypeError: There is no such setting.
    """

    _side: ClassVar[Side] = Side.CLIENT

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[str] | None = None,
        heartbeat_freq: float | None = None,
        ssl_options: SSLOptions | None = None,
        headers: Iterable[tuple[str, str]] | Mapping[str, str] | None = None,
        exclude_headers: Iterable[str] | None = None,
        *,
        policy: Policy | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(None, protocols, extensions, None, heartbeat_freq)
        target = parse_url(url)
        self.url = url
        self.scheme = target.scheme
        self.host = target.host
        self.port = target.port
        self.unix_socket_path = target.unix_socket_path
        #: Path and query that are asked for.
        self.resource = target.resource
        self.ssl_options: SSLOptions = {} if ssl_options is None else ssl_options
        self.extra_headers: list[tuple[str, str]] = list(
            headers.items() if isinstance(headers, Mapping) else headers or ()
        )
        self.exclude_headers = [name.lower() for name in exclude_headers or ()]
        #: The headers of the server's answer.
        self.response_headers: Sequence[tuple[str, str]] = ()
        if protocols is not None:
            settings["subprotocols"] = tuple(protocols) if not isinstance(protocols, str) else protocols
        if extensions and _wants_deflate(extensions):
            settings.setdefault("compression", True)
        if heartbeat_freq:
            settings["ping_interval"] = heartbeat_freq
        self.policy = (self.policy if policy is None else policy).replace(**settings)
        self._userinfo = target.userinfo
        self._pump: Pump | None = None
        self._key = _make_key()
        self._key_is_fresh = True
        # What cannot be sent shows here, not at the first reconnection.
        self._build_request(self._make_headers())

    # --- the request ---------------------------------------------------------------------------

    @property
    def bind_addr(self) -> str | tuple[str, int | None]:
        """The path of the Unix socket, or (host, port)."""
        return self.unix_socket_path or (self.host, self.port)

    @property
    def key(self) -> bytes:
        """The value of ``Sec-WebSocket-Key``: random for each connection; what is set is for the next one."""
        return self._key

    @key.setter
    def key(self, key: str | bytes) -> None:
        self._key = key.encode("ascii") if isinstance(key, str) else bytes(key)
        self._key_is_fresh = True

    @property
    def handshake_headers(self) -> list[tuple[str, str]]:
        """The headers of the request."""
        return self._make_headers()

    def _make_headers(self) -> list[tuple[str, str]]:
        extra = self.extra_headers
        hosts = get_all(extra, "Host") or [build_host(self.host, self.port, self.scheme)]
        # As ws4py: a server that lets in pages of its own only lets us in.
        origins = get_all(extra, "Origin")
        if not origins and self.unix_socket_path is None:
            origins = [f"{self.scheme}://{hosts[0]}"]
        if len(hosts) > 1 or len(origins) > 1:
            raise ValueError("headers has Host or Origin twice; each can be sent once")
        others = [(name, value) for name, value in extra if name.lower() not in ("host", "origin")]
        if self._userinfo is not None and not get_all(extra, "Authorization"):
            others.append(("Authorization", build_basic_auth(*self._userinfo)))
        origin = origins[0] if origins else None
        headers = request_headers(hosts[0], self.policy, self._key.decode("latin-1"), others, origin=origin)
        return [header for header in headers if header[0].lower() not in self.exclude_headers]

    @property
    def handshake_request(self) -> bytes:
        """
        The request, the empty line included.

        Raises:
            ValueError: :attr:`resource` or a header has what cannot be sent.
        """
        return self._build_request(self.handshake_headers)

    def _build_request(self, headers: list[tuple[str, str]]) -> bytes:
        check_target(self.resource)
        return build_head(f"GET {self.resource} HTTP/1.1", headers)

    # --- connecting ----------------------------------------------------------------------------

    def connect(self) -> None:
        """
        Connect, and make the opening handshake; all of it within ``policy.open_timeout``.

        When the last connection is being closed, its end is waited for.

        Raises:
            HandshakeError: The server refuses: ``status``, ``headers`` and ``body`` are its answer's.
                Or it is no server of WebSockets, or went away; then the ``status`` may be 0.
            OSError: There is no connection: the name is not known, nobody listens, the certificate is
                not the server's (:exc:`ssl.SSLCertVerificationError`), ...
            TimeoutError: It took too long; the message says what.
            RuntimeError: It is connected.
        """
        self._end_last()
        if not self._key_is_fresh:
            self._key = _make_key()
        request = self.handshake_request
        deadline = Deadline(self.policy.open_timeout)
        sock = self.sock = self._dial(deadline)
        try:
            send_request(sock, request, deadline)
            answer = read_answer(sock, deadline, self.policy)
            self._check(answer, sock, deadline)
            link = self._make_link(sock, answer.rest)
        except BaseException:
            self.sock = None
            sock.close()
            raise
        finally:
            self._key_is_fresh = False
        try:
            self.handshake_ok()
        except BaseException:
            link.drop()
            raise
        if link.loop is self._pump and type(self).received_message is WebSocket.received_message:
            # Whoever asks for messages gets them all, from the first one on.
            link.expect_receive()

    def _end_last(self) -> None:
        link = self._link
        if link is not None and not link.is_closed:
            if link.conn.state is State.OPEN:
                raise RuntimeError("it is connected already; close() it first")
            link.wait_released()
        self._link = self._pump = self.sock = None
        self._marked = frozenset()
        self.response_headers = ()

    def _dial(self, deadline: Deadline) -> Any:
        context = make_context(self.ssl_options) if self.scheme.startswith("wss") else None
        if self.unix_socket_path is not None:
            sock = connect_unix(self.unix_socket_path, deadline, net=socket)
        else:
            assert self.port is not None
            sock = connect_tcp(self.host, self.port, deadline, net=socket)
        if context is None:
            return sock
        return wrap(sock, context, get_server_name(self.ssl_options, self.host), deadline)

    def _check(self, answer: Answer, sock: Any, deadline: Deadline) -> None:
        self.response_headers = answer.headers
        try:
            self.process_response_line(answer.line)
            self.protocols, self.extensions = self.process_handshake_header(answer.lines)
        except HandshakeError as error:
            body = b"" if answer.status == 101 else read_body(sock, deadline, answer)
            raise HandshakeError(error.msg, answer.status, answer.headers, body) from None

    def process_response_line(self, response_line: bytes) -> None:
        """
        Check the status line of the server's answer.

        Raises:
            HandshakeError: It is not 101.
        """
        response = parse_line(response_line, self.policy)
        status = response.status
        if status != 101:
            reason = response.reason[:80] if response.reason.isascii() else ""
            said = f"{status} {reason}".strip()
            raise HandshakeError(f"the server answered with {said}, not with 101 Switching Protocols", status)
        if response.http_version != "HTTP/1.1":
            raise HandshakeError(f"the server switches protocols under {response.http_version}", status)

    def process_handshake_header(self, headers: bytes) -> tuple[list[str] | None, list[Extension]]:
        """
        Check the headers of the server's answer, as they were sent, and agree on what they say.

        Returns:
            The subprotocol in a list, or ``None``; and the extensions.

        Raises:
            HandshakeError: They do not open a WebSocket, or one with what was not asked for.
        """
        fields = parse_fields(headers, self.policy)
        lengths = get_all(fields, "Content-Length")
        if get_all(fields, "Transfer-Encoding") or any(length != "0" for length in lengths):
            raise HandshakeError("the server's answer has a body, which a 101 cannot have", 101, fields)
        upgrade: Upgrade = check_response(101, fields, self._key.decode("latin-1"), self.policy)
        protocols = None if upgrade.subprotocol is None else [upgrade.subprotocol]
        return protocols, list(upgrade.extensions)

    def _make_link(self, sock: Any, early: bytes) -> Link:
        transport: TransportLike
        try:
            transport = from_socket(sock)
        except TypeError:
            transport = SourceTransport(sock)  # a test's, that stands in for a socket
        conn = Connection(self._side, self.policy, self.extensions or (), now=monotonic())
        pump = self._pump = Pump()
        link = self._bind(Link(self, transport, conn, pump))
        pump.bind(link)
        link.begin(early)
        return link

    def handshake_ok(self) -> None:
        """Go on when the handshake is done: call :meth:`opened`. Others give the client to a manager here."""
        self._ensure_link().open()

    # --- the end ---------------------------------------------------------------------------------

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """
        Begin the closing handshake; see :meth:`.WebSocket.close`. Without a connection, do nothing.

        Whoever waits afterwards, in :meth:`run` or :meth:`receive`, waits for ``policy.close_timeout``
        at most.
        """
        if self._link is not None:
            super().close(code, reason)
            self._drain()

    def terminate(self) -> None:
        """End the connection now, if there is one; see :meth:`.WebSocket.terminate`."""
        if self._link is not None:
            super().terminate()

    def close_connection(self) -> None:
        """As :meth:`terminate`."""
        self.terminate()

    # --- without a manager -------------------------------------------------------------------------

    def send(self, payload: str | Buffer | Message | Iterable[Any], binary: bool = False) -> None:
        """
        Send a message; see :meth:`.WebSocket.send`.

        Without a manager it returns when the network has taken it all, unless it is called in a hook.
        """
        try:
            super().send(payload, binary)
        finally:
            self._drain()

    def receive(self, timeout: float | None = None) -> Message | None:
        """Wait for the next message; see :meth:`.WebSocket.receive`. Without a manager, this reads."""
        link = self._ensure_link()
        message = link.receive(timeout)
        if message is None and link.loop is self._pump:
            link.wait_released()  # the server's FIN has half a second to come
        return message

    def run(self) -> None:
        """
        Call the hooks until the connection has ended; who reconnects in :meth:`closed` goes on.

        Raises:
            ConnectionClosed: There was none.
        """
        link = self._ensure_link()
        while True:
            link.wait_released()
            if self._link is None or self._link is link:
                return
            link = self._link

    def once(self) -> bool:
        """
        Wait until something happens, and call the hooks for it.

        Returns:
            Whether there may be more.

        Raises:
            RuntimeError: A manager does that.
        """
        link = self._ensure_link()
        pump = self._pump
        if pump is None or link.loop is not pump:
            raise RuntimeError("this client is in the hands of a manager, which calls its hooks")
        if not link.released:
            pump.once()
        return not link.released

    def _drain(self) -> None:
        link = self._link
        if link is not None and link.loop is self._pump and (link.blocked or link.conn.finished):
            self._pump.drain()

    def _ensure_link(self) -> Link:
        if self._link is None:
            raise ConnectionClosed("there is no connection; connect() first")
        return self._link

    def __enter__(self: _Client) -> _Client:
        if self._link is None:
            self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        link = self._link
        if link is not None:
            self.close()
            if not link.is_mine:
                link.wait_released()


def _make_key() -> bytes:
    return build_key(os.urandom(16)).encode("ascii")


def _wants_deflate(extensions: Sequence[str]) -> bool:
    for offer in parse_extensions(extensions):
        if offer.name != "permessage-deflate" or offer.params:
            raise ValueError(
                f"extensions has {offer.name!r}; it may be 'permessage-deflate', whose parameters "
                "belong into compression=DeflateOptions(...)"
            )
    return True
