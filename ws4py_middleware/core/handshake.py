"""
The opening handshake: the one validator, for both sides, :rfc:`6455#section-4`.

A server gives :func:`accept_request` what it was asked and gets what to answer.
A client gets its request from :func:`build_request` and gives
:func:`check_response` what came back.

Whatever the peer sent, the only exception is :exc:`~ws4py_middleware.exc.HandshakeError`,
which is the answer: a status, headers, and one line of printable ASCII. On the
server's side each asks for the end of the HTTP connection, so that what
follows a refused upgrade is never read as another request.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..exc import HandshakeError
from .extensions import get_factories
from .extensions.base import Extension, accept_extensions, check_extensions
from .headers import (
    build_extensions,
    build_head,
    check_header_name,
    check_header_value,
    get_all,
    has_token,
    parse_extensions,
    parse_subprotocols,
    parse_token_list,
    parse_upgrade,
    quote,
    split_list,
)
from .origins import Host, is_allowed_host, is_allowed_origin, parse_host
from .policy import Policy
from .types import WS_KEY

__all__ = [
    "Request",
    "Upgrade",
    "accept_key",
    "accept_request",
    "build_key",
    "build_request",
    "check_response",
    "check_target",
    "is_upgrade",
    "request_headers",
]

_T = TypeVar("_T")

#: The base64 of 16 bytes, in the one form that :rfc:`4648#section-3.5` has for them.
_KEY = re.compile(r"[0-9A-Za-z+/]{21}[AQgw]==")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")
_TARGET = re.compile(r"/[\x21\x22\x24-\x7e]*")

_VERSION = ("Sec-WebSocket-Version", "13")

#: What the handshake itself says; :func:`_check_extra` keeps others from saying it, too.
_OWN = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """An opening handshake as a server sees it; repeated headers may have been joined by commas."""

    method: str
    #: Path and query, as sent.
    target: str
    #: Such as ``"HTTP/1.1"``.
    http_version: str
    headers: Sequence[tuple[str, str]]
    #: Whether it came through TLS, as far as the server knows.
    secure: bool = False

    def get_all(self, name: str) -> list[str]:
        """Return each value of a header, in order; case does not matter."""
        return get_all(self.headers, name)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a header."""
        return next(iter(self.get_all(name)), default)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was agreed on."""

    #: The headers of the 101: those to send on the server's side, those received on the client's.
    headers: Sequence[tuple[str, str]]
    subprotocol: str | None = None
    extensions: Sequence[Extension] = field(default=())
    #: The value of ``Sec-WebSocket-Extensions`` in the 101; empty without extensions.
    extension_header: str = ""

    def build_response(self) -> bytes:
        """
        Build the head of the 101, the empty line included.

        Raises:
            ValueError: A header has a CR, LF or NUL, or is none.
        """
        return build_head("HTTP/1.1 101 Switching Protocols", self.headers)


def accept_key(key: str) -> str:
    """
    Return the value of ``Sec-WebSocket-Accept`` for a key, :rfc:`6455#section-4.2.2`.

    >>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    digest = hashlib.sha1(key.encode("ascii") + WS_KEY, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def build_key(nonce: bytes) -> str:
    """
    Return the value of ``Sec-WebSocket-Key`` for 16 random bytes.

    Raises:
        ValueError: There are more or less than 16.
    """
    if len(nonce) != 16:
        raise ValueError(f"the nonce has {len(nonce)} bytes; it has 16")
    return base64.b64encode(nonce).decode("ascii")


def _check_extra(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    extra = list(headers)
    for name, value in extra:
        check_header_name(name)
        check_header_value(value)
        if name.lower() in _OWN:
            raise ValueError(f"the header {name} belongs to the handshake; use the policy to change it")
    return extra


# --- the server's side ---------------------------------------------------------------------------


def is_upgrade(request: Request) -> bool:
    """
    Tell whether a request asks for a WebSocket, be it in the right way or not.

    Never raises. Where it says no, the request is plain HTTP and may be answered
    with a page; where it says yes, :func:`accept_request` has the answer.
    """
    return has_token(split_list(request.get_all("Upgrade")), "websocket")


def accept_request(request: Request, policy: Policy, *, headers: Iterable[tuple[str, str]] = ()) -> Upgrade:
    """
    Check a request against the RFC and the policy, and agree on what can be agreed on.

    Args:
        request: What was asked.
        policy: Origins, hosts, subprotocols and compression.
        headers: Further headers for the 101, such as cookies.

    Raises:
        HandshakeError: The request is refused: 400, 403, 405, 421 or 426. Nothing that a
            client sends leads to a 5xx.
        ValueError: ``headers`` may not be sent, or ``policy.subprotocols`` is a callable
            that chose what was not offered.

    Spec: :rfc:`6455#section-4.2`.

    >>> request = Request("GET", "/", "HTTP/1.1", [
    ...     ("Host", "example.com"), ("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"),
    ...     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")])
    >>> accept_request(request, Policy()).headers[-1]
    ('Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    """
    extra = _check_extra(headers)
    if request.method != "GET":
        reason = f"the method is {quote(request.method)}; a WebSocket is asked for with GET"
        raise _refuse(reason, 405, ("Allow", "GET"))
    _check_upgrade(request)
    if request.http_version != "HTTP/1.1":
        raise _refuse(
            f"the request came as {quote(request.http_version)}; WebSockets need HTTP/1.1 "
            "(a proxy in between has to be told, nginx by: proxy_http_version 1.1)"
        )
    _check_no_body(request)
    host = _check_host(request, policy)
    _check_version(request)
    key = _check_key(request)
    _check_origin(request, policy, host)
    subprotocol = _choose_subprotocol(_parse(request, "Sec-WebSocket-Protocol", parse_subprotocols), policy)
    offers = _parse(request, "Sec-WebSocket-Extensions", parse_extensions)
    extensions, answers = accept_extensions(offers, get_factories(policy))
    extension_header = build_extensions(answers)

    response = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(key)),
    ]
    if subprotocol is not None:
        response.append(("Sec-WebSocket-Protocol", subprotocol))
    if extension_header:
        response.append(("Sec-WebSocket-Extensions", extension_header))
    return Upgrade(response + extra, subprotocol, extensions, extension_header)


def _refuse(reason: str, status: int = 400, *headers: tuple[str, str]) -> HandshakeError:
    """Make the answer to a refused request; each of them ends the HTTP connection."""
    if status == 426:
        # Whoever sends Upgrade lists it in Connection, RFC 9110 section 7.8.
        headers += (("Connection", "close, Upgrade"), ("Upgrade", "websocket"), _VERSION)
    elif status == 400:
        headers += (("Connection", "close"), _VERSION)
    else:
        headers += (("Connection", "close"),)
    return HandshakeError(reason, status, headers)


def _parse(request: Request, name: str, parse: Callable[[list[str]], _T]) -> _T:
    try:
        return parse(request.get_all(name))
    except ValueError as error:
        raise _refuse(f"{name} is malformed: {error}") from None


def _check_upgrade(request: Request) -> None:
    if not has_token(_parse(request, "Upgrade", parse_upgrade), "websocket"):
        raise _refuse("this is a WebSocket; it is asked for with the header Upgrade: websocket", 426)
    if not has_token(_parse(request, "Connection", parse_token_list), "upgrade"):
        raise _refuse("the header Connection: Upgrade is missing; has a proxy in between removed it?")


def _check_no_body(request: Request) -> None:
    if request.get_all("Transfer-Encoding"):
        raise _refuse("the request has a Transfer-Encoding; a WebSocket is asked for without a body")
    if any(value != "0" for value in request.get_all("Content-Length")):
        raise _refuse("the request has a Content-Length; a WebSocket is asked for without a body")


def _check_host(request: Request, policy: Policy) -> Host:
    values = request.get_all("Host")
    if len(values) != 1:
        raise _refuse(f"the request has {len(values)} Host headers; it has exactly one")
    try:
        host = parse_host(values[0])
    except ValueError as error:
        raise _refuse(f"Host is malformed: {error}") from None
    if not is_allowed_host(host, policy.hosts):
        raise _refuse(f"the host {quote(str(host))} is not served here", 421)
    return host


def _check_version(request: Request) -> None:
    values = request.get_all("Sec-WebSocket-Version")
    if values == ["13"]:
        return
    if not values:
        raise _refuse("the header Sec-WebSocket-Version is missing; it is 13", 426)
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]):
        raise _refuse(f"Sec-WebSocket-Version is {quote(', '.join(values))}; it is 13, once")
    raise _refuse(f"version {values[0]} of the protocol is not spoken here; version 13 is", 426)


def _check_key(request: Request) -> str:
    values = request.get_all("Sec-WebSocket-Key")
    if len(values) != 1:
        raise _refuse(f"the request has {len(values)} Sec-WebSocket-Key headers; it has exactly one")
    if not _KEY.fullmatch(values[0]):
        raise _refuse(f"Sec-WebSocket-Key is {quote(values[0])}; it is 16 bytes in base64")
    return values[0]


def _check_origin(request: Request, policy: Policy, host: Host) -> None:
    values = request.get_all("Origin")
    # Without one it is no browser, and nobody else's cookies come along.
    if values and not is_allowed_origin(", ".join(values), policy.origins, host, secure=request.secure):
        raise _refuse(f"pages of the origin {quote(', '.join(values))} may not connect here", 403)


def _choose_subprotocol(offered: list[str], policy: Policy) -> str | None:
    """Choose the first of ours that is offered, or ask the callable; without an offer there is none."""
    if not offered:
        return None
    if not callable(policy.subprotocols):
        return next((ours for ours in policy.subprotocols if ours in offered), None)
    chosen = policy.subprotocols(tuple(offered))
    if chosen is not None and chosen not in offered:
        raise ValueError(f"policy.subprotocols chose {chosen!r}, which is not among those offered: {offered}")
    return chosen


# --- the client's side ---------------------------------------------------------------------------


def build_request(
    host: str,
    target: str,
    policy: Policy,
    key: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    origin: str | None = None,
) -> bytes:
    """
    Build the head of a client's request, the empty line included.

    Args:
        host: The value of ``Host``: with the port, unless it is the default one.
        target: Path and query, encoded; no fragment.
        policy: Subprotocols (a list) and compression.
        key: As :func:`build_key` gives it; a new one for each request.
        headers: Further headers, such as cookies.
        origin: The page that asks, for a client that is a browser or has to look like one.

    Raises:
        ValueError: Something cannot be sent; see :func:`.headers.check_header_value`.
        TypeError: ``policy.subprotocols`` is a callable; a client has to say what it offers.

    Spec: :rfc:`6455#section-4.1`.
    """
    check_target(target)
    return build_head(f"GET {target} HTTP/1.1", request_headers(host, policy, key, headers, origin=origin))


def check_target(target: str) -> None:
    """
    Check what is asked for: path and query.

    Raises:
        ValueError: It is not encoded, or has a fragment.
    """
    if not _TARGET.fullmatch(target):
        raise ValueError(f"target {quote(target)} is not an encoded path, such as /chat?room=1")


def request_headers(
    host: str,
    policy: Policy,
    key: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    origin: str | None = None,
) -> list[tuple[str, str]]:
    """Make the headers of a client's request, as :func:`build_request` sends them."""
    extra = _check_extra(headers)
    parse_host(host)
    if not _KEY.fullmatch(key):
        raise ValueError(f"key {quote(key)} is not 16 bytes in base64; use build_key()")
    head = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        _VERSION,
    ]
    if origin is not None:
        head.append(("Origin", origin))
    subprotocols = ", ".join(_offered_subprotocols(policy))
    if subprotocols:
        head.append(("Sec-WebSocket-Protocol", subprotocols))
    offers = [factory.build_offer() for factory in get_factories(policy)]
    if offers:
        head.append(("Sec-WebSocket-Extensions", build_extensions(offers)))
    return head + extra


def _offered_subprotocols(policy: Policy) -> Sequence[str]:
    if callable(policy.subprotocols):
        raise TypeError("policy.subprotocols is a callable; a client offers a list of them")
    return policy.subprotocols


def check_response(status: int, headers: Sequence[tuple[str, str]], key: str, policy: Policy) -> Upgrade:
    """
    Check a server's answer to :func:`build_request`.

    Args:
        status: The HTTP status.
        headers: All headers of the answer.
        key: The key of the request.
        policy: The policy of the request.

    Raises:
        HandshakeError: There is no WebSocket. Its ``status`` and ``headers`` are those of the
            answer, so that a redirect or a challenge can be followed.

    Spec: :rfc:`6455#section-4.1`, the second list.
    """
    try:
        return _check_response(status, headers, key, policy)
    except ValueError as error:
        raise HandshakeError(f"the server's answer is malformed: {error}", status, headers) from None
    except HandshakeError as error:
        raise HandshakeError(error.msg, status, headers) from None


def _check_response(status: int, headers: Sequence[tuple[str, str]], key: str, policy: Policy) -> Upgrade:
    if status != 101:
        raise HandshakeError(f"the server answered with {status}, not with 101 Switching Protocols")
    if not has_token(parse_upgrade(get_all(headers, "Upgrade")), "websocket"):
        raise HandshakeError("the server switched to another protocol than websocket")
    if not has_token(parse_token_list(get_all(headers, "Connection")), "upgrade"):
        raise HandshakeError("the server's answer has no Connection: Upgrade")
    accepts = get_all(headers, "Sec-WebSocket-Accept")
    if accepts != [accept_key(key)]:
        raise HandshakeError(
            f"Sec-WebSocket-Accept is {quote(', '.join(accepts))}; for our key it is {accept_key(key)}, once"
        )
    subprotocols = get_all(headers, "Sec-WebSocket-Protocol")
    if len(subprotocols) > 1:
        raise HandshakeError(f"the server answered with {len(subprotocols)} subprotocols; it chooses one")
    subprotocol = subprotocols[0] if subprotocols else None
    if subprotocol is not None and subprotocol not in _offered_subprotocols(policy):
        raise HandshakeError(f"the server chose the subprotocol {quote(subprotocol)}, which was not offered")
    answers = parse_extensions(get_all(headers, "Sec-WebSocket-Extensions"))
    extensions = check_extensions(answers, get_factories(policy))
    return Upgrade(headers, subprotocol, extensions, build_extensions(answers))
