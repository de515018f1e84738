"""
What every client has, however it waits: its settings, its request, and the opening as a conversation.

No I/O: :meth:`ClientBase.converse` says what is to be done, see :mod:`.steps`, and a client of one
kind or another does it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..core.extensions.base import Extension
from ..core.handshake import Upgrade, build_key, check_response, check_target
from ..core.headers import build_head, get_all, parse_extensions
from ..core.policy import Policy
from ..core.types import Side, State
from ..exc import ConnectionClosed, HandshakeError
from ..link import Link
from ..messaging import Message
from ..websocket import HookResult, WebSocket
from .answers import Answer, Part, ask, describe, parse_fields, parse_line, read_body
from .away import Reconnecting
from .backoff import Backoff, make_backoff
from .proxies import choose_proxy, parse_proxy
from .redirects import Leg, first_leg, is_redirect, next_leg
from .replaying import SUBPROTOCOL, Replay, adopt, waits_for_receive
from .steps import Conversation, Dial, DialUnix, HangUp, StartTLS
from .tls import SSLOptions, get_server_name, make_context, without_identity
from .tunnels import open_tunnel
from .urls import Target, parse_url

__all__ = ["ClientBase"]


class ClientBase(WebSocket):
    """
    A WebSocket that connects to a server; how, its subclasses say.

    Args:
        url: ``ws://host:port/path?query``, ``wss://…``, ``ws+unix:///path/of/the/socket`` or
            ``wss+unix://…``, whose ``/`` is asked for unless :attr:`resource` is set. A user and
            password in it are sent as basic authentication.
        protocols: The subprotocols to offer, best first; afterwards the one that was agreed on.
        extensions: ``["permessage-deflate"]`` is ``compression=True``; there is no other.
        heartbeat_freq: Seconds between two pings; by default ``policy.ping_interval``.
        ssl_options: A context, or a dictionary of settings, see :func:`.tls.make_context`. By
            default the server's certificate and its host name are verified;
            ``{"cert_reqs": ssl.CERT_NONE}`` does without.
        headers: Further headers of the request, pairs or a mapping; also ``Host`` and ``Origin``.
        exclude_headers: Names of headers not to send.
        policy: The limits and times; by default those of the class.
        proxy: The URL of a proxy, ``http://user:password@host:port`` or ``socks5://…`` (extra
            ``socks``); ``True`` takes the environment's, see :func:`.proxies.choose_proxy`, and
            ``None`` none.
        max_redirects: How many redirects are followed; 0 takes each for a refusal.
        reconnect: When to connect again by itself; ``True`` is ``Backoff()``.
        positions: What :attr:`positions` was, to go on there; for clients that offer ``ws4py.replay.v1``.
        settings: Settings of the policy by name, such as ``max_message_size=65536``.

    Raises:
        ValueError: The URL, or the proxy's, is none, or has a fragment; or a header cannot be sent.
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
        proxy: str | bool | None = True,
        max_redirects: int = 0,
        reconnect: Backoff | bool | None = None,
        positions: Mapping[str, str] | None = None,
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
        self.proxy = proxy
        self.max_redirects = max_redirects
        #: When it connects again by itself; ``None``: it does not.
        self.reconnect = make_backoff(reconnect)
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
        self._key = _make_key()
        self._key_is_fresh = True
        self._dialing = threading.Lock()
        if isinstance(proxy, str):
            parse_proxy(proxy)
            if target.unix_socket_path is not None:
                raise ValueError("no proxy leads to a Unix socket; leave proxy out, or None")
        if not isinstance(max_redirects, int) or isinstance(max_redirects, bool) or max_redirects < 0:
            raise ValueError(f"max_redirects is {max_redirects!r}; it is a whole number, 0 follows none")
        # What cannot be sent shows here, not at the first reconnection.
        self._build_request(self._first_leg())
        self._reconnecting = self._make_reconnecting(self.reconnect) if self.reconnect else None
        self._replay = self._make_replay(positions)

    def _make_reconnecting(self, backoff: Backoff) -> Reconnecting:
        raise TypeError(f"{type(self).__name__} does not connect again by itself")

    def reconnecting(self, attempt: int, delay: float, cause: Exception) -> HookResult:
        """
        Take note that it will be connected again; called before each attempt, between the other hooks.

        :meth:`close` gives it up, and what a request needs may be changed here, such as ``extra_headers``.
        When there are no more attempts, :meth:`unhandled_error` is told why.

        Args:
            attempt: 1 for the first after a connection that was a good one.
            delay: Seconds until then.
            cause: Why: a :exc:`~ws4py_middleware.exc.ConnectionClosed` with the close code, the
                :exc:`~ws4py_middleware.exc.HandshakeError` of the server, or an :exc:`OSError`.
        """

    # --- missing nothing -------------------------------------------------------------------------

    @property
    def positions(self) -> dict[str, str]:
        """
        How far this client is in each room: name → ``id`` of the last message that it has had; a copy.

        A message is had when :meth:`received_message` is called with it, or :meth:`receive` returns it. The
        next connection goes on from there, and so does another client that is given this.
        """
        return {} if self._replay is None else self._replay.positions

    def missed(self, room: str) -> HookResult:
        """
        Take note that something of a room is lost: the server keeps it no longer.

        What it still has follows, as messages. It is called between the other hooks.
        """

    def _make_replay(self, positions: Mapping[str, str] | None) -> Replay | None:
        offered = self.policy.subprotocols
        if not callable(offered) and SUBPROTOCOL in offered:
            return Replay(positions)
        if positions is not None:
            raise ValueError(f"positions is for a client with protocols=[{SUBPROTOCOL!r}]")
        return None

    def _note_taken(self, message: Message | None) -> Message | None:
        """Note that the application has asked for a message and got it."""
        replay = self._replay
        if (
            replay is not None
            and message is not None
            and message.room is not None
            and waits_for_receive(self)
        ):
            replay.pass_on(message)
        return message

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
        """
        The headers of the request; what a subclass makes of them is sent.

        To where it is redirected they are made anew, from the settings.
        """
        return self._make_headers(self._first_leg())

    @property
    def handshake_request(self) -> bytes:
        """
        The request, the empty line included.

        Raises:
            ValueError: :attr:`resource` or a header has what cannot be sent.
        """
        return self._build_request(self._first_leg(), self.handshake_headers)

    def _first_leg(self) -> Leg:
        target = Target(
            self.scheme, self.host, self.port, self.unix_socket_path, self.resource, self._userinfo
        )
        return first_leg(target, self.extra_headers)

    def _make_headers(self, leg: Leg) -> list[tuple[str, str]]:
        headers = leg.make_headers(self._key, self.policy)
        return [header for header in headers if header[0].lower() not in self.exclude_headers]

    def _build_request(self, leg: Leg, headers: Iterable[tuple[str, str]] | None = None) -> bytes:
        check_target(leg.target.resource)
        headers = self._make_headers(leg) if headers is None else headers
        return build_head(f"GET {leg.target.resource} HTTP/1.1", headers)

    # --- the opening -----------------------------------------------------------------------------

    def converse(self) -> Conversation:
        """
        Open one connection: say what is to be sent and received until there is a WebSocket.

        Afterwards :attr:`protocols`, :attr:`extensions` and :attr:`response_headers` are those
        of the server's answer; what came behind that is returned.

        Raises:
            HandshakeError: The server refuses, or is none of WebSockets, or went away.
            OSError: What a step raised.
            ValueError: :attr:`resource` or a header has what cannot be sent; or the environment names
                a proxy that is none.
            ImportError: The proxy is one of SOCKS, and socksio is not installed.
        """
        if not self._key_is_fresh:
            self._key = _make_key()
        leg = self._first_leg()
        request = self.handshake_request  # perhaps a subclass has its own, as of handshake_headers
        way = [leg]
        while True:
            yield from self._reach(leg)
            self._key_is_fresh = False
            answer = yield from ask(request, self.policy)
            if not (self.max_redirects and is_redirect(answer)):
                break
            leg = next_leg(way, answer, self.max_redirects)
            way.append(leg)
            yield HangUp()
            self._key = _make_key()
            request = self._build_request(leg)
        yield from self._check(answer)
        return answer.rest

    def _reach(self, leg: Leg) -> Part[None]:
        """Connect to where the request is to be sent."""
        target = leg.target
        options = without_identity(self.ssl_options) if leg.is_elsewhere else self.ssl_options
        context = make_context(options) if target.scheme.startswith("wss") else None
        if target.unix_socket_path is not None:
            yield DialUnix(target.unix_socket_path)
        else:
            assert target.port is not None
            proxy = choose_proxy(self.proxy, target)
            if proxy is None:
                yield Dial(target.host, target.port)
            else:
                yield from open_tunnel(proxy, target.host, target.port, self.policy)
        if context is not None:
            name = get_server_name(options, target.host)
            yield StartTLS(context, name, name)

    def _check(self, answer: Answer) -> Part[None]:
        self.response_headers = answer.headers
        try:
            self.process_response_line(answer.line)
            self.protocols, self.extensions = self.process_handshake_header(answer.lines)
        except HandshakeError as error:
            body = b"" if answer.status == 101 else (yield from read_body(answer))
            hint = "" if not is_redirect(answer) else "; max_redirects says how many redirects are followed"
            raise HandshakeError(error.msg + hint, answer.status, answer.headers, body) from None

    def process_response_line(self, response_line: bytes) -> None:
        """
        Check the status line of the server's answer.

        Raises:
            HandshakeError: It is not 101.
        """
        response = parse_line(response_line, self.policy)
        if response.status != 101:
            said = describe(response)
            raise HandshakeError(
                f"the server answered with {said}, not with 101 Switching Protocols", response.status
            )
        if response.http_version != "HTTP/1.1":
            raise HandshakeError(f"the server switches protocols under {response.http_version}", 101)

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

    # --- the end ---------------------------------------------------------------------------------

    def terminate(self) -> None:
        """End the connection now, if there is one, and make no other; see :meth:`.WebSocket.terminate`."""
        if self._reconnecting is not None:
            self._reconnecting.stop()
        if self._link is not None:
            super().terminate()

    def close_connection(self) -> None:
        """As :meth:`terminate`."""
        self.terminate()

    def _find_ending(self) -> Link | None:
        """
        Return the last connection if its end is still to be waited for.

        Raises:
            RuntimeError: It is not even about to end.
        """
        link = self._link
        if link is None or link.is_closed:
            return None
        if link.conn.state is State.OPEN:
            raise RuntimeError("it is connected already; close() it first")
        return link

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """Let nobody else connect it meanwhile: there is one key, and one connection."""
        if not self._dialing.acquire(blocking=False):
            raise RuntimeError("it is about to be connected already; wait for that")
        try:
            yield
        finally:
            self._dialing.release()

    def _forget_last(self) -> None:
        """Forget the last connection, whose end has come, before there is another."""
        self._link = self.sock = None
        self._marked = frozenset()
        self.response_headers = ()
        if self._replay is not None:
            self._replay.restart()

    def _new_link(self, kind: type[Link], transport: Any, conn: Any, loop: Any) -> Link:
        if self._replay is not None:
            conn = adopt(self, self._replay, conn)
        if self._reconnecting is None:
            return super()._new_link(kind, transport, conn, loop)
        return self._reconnecting.make_link(transport, conn, loop)

    def _ensure_link(self) -> Link:
        if self._link is None:
            raise ConnectionClosed("there is no connection; connect() first")
        return self._link


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
