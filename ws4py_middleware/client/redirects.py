"""The way to a server: what each on it is asked, and where one that redirects sends the client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

from ..core.handshake import request_headers
from ..core.headers import get_all, quote
from ..core.policy import Policy
from ..exc import HandshakeError
from .answers import Answer
from .urls import Target, build_basic_auth, build_host, check_characters, parse_url

__all__ = ["Leg", "first_leg", "is_redirect", "next_leg"]

_STATUSES = frozenset({301, 302, 303, 307, 308})

#: What is one origin's business, and told to no other.
_SECRETS = frozenset({"authorization", "cookie", "proxy-authorization"})

#: The same origin by the name that pages have for it.
_AS_HTTP = {"ws": "http", "wss": "https", "ws+unix": "http", "wss+unix": "https"}
_AS_WS = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Leg(NamedTuple):
    """One request of the way: to whom, and what is said there."""

    target: Target
    #: The values of ``Host`` and ``Origin``.
    host: str
    origin: str | None
    #: Further headers.
    headers: Sequence[tuple[str, str]]
    #: Whether this is another host than the URL's, or the way went over one.
    is_elsewhere: bool = False

    def make_headers(self, key: bytes, policy: Policy) -> list[tuple[str, str]]:
        """
        Make all headers of the request.

        Raises:
            ValueError: One of them cannot be sent.
        """
        return request_headers(self.host, policy, key.decode("latin-1"), self.headers, origin=self.origin)


def first_leg(target: Target, extra: Iterable[tuple[str, str]]) -> Leg:
    """
    Return the request to the server of the URL.

    Args:
        extra: Headers of the user's; ``Host`` and ``Origin`` in them take the place of ours.

    Raises:
        ValueError: One of these two is there twice.
    """
    extra = list(extra)
    hosts = get_all(extra, "Host") or [build_host(target.host, target.port, target.scheme)]
    # As ws4py: a server that lets in pages of its own only lets us in.
    origins = get_all(extra, "Origin")
    if not origins and target.unix_socket_path is None:
        origins = [f"{target.scheme}://{hosts[0]}"]
    if len(hosts) > 1 or len(origins) > 1:
        raise ValueError("headers has Host or Origin twice; each can be sent once")
    headers = [(name, value) for name, value in extra if name.lower() not in ("host", "origin")]
    if target.userinfo is not None and not get_all(extra, "Authorization"):
        headers.append(("Authorization", build_basic_auth(*target.userinfo)))
    return Leg(target, hosts[0], origins[0] if origins else None, headers)


def is_redirect(answer: Answer) -> bool:
    """Tell whether a server sends its client to another URL."""
    return answer.status in _STATUSES and bool(get_all(answer.headers, "Location"))


def next_leg(way: Sequence[Leg], answer: Answer, most: int) -> Leg:
    """
    Return the request to where the last one was redirected to.

    What is secret stays with the origin that it was meant for, and does not come back on a way
    that does. The ``Origin`` stays as it is: it says who asks, not who is asked.

    Args:
        way: The requests so far.
        most: How many redirects are followed.

    Raises:
        HandshakeError: It is a loop, or there are too many; or it goes where no client goes:
            to what is no WebSocket, or from TLS to no TLS.
    """
    last = way[-1]
    try:
        target = _resolve(last.target, answer)
    except ValueError as error:
        raise _refuse(f"the server redirects to no WebSocket: {error}", answer) from None
    if any(leg.target[:5] == target[:5] for leg in way):
        raise _refuse(f"the server redirects in a loop, back to {_show(target)}", answer)
    if len(way) > most:
        raise _refuse(f"the server redirects once more than max_redirects={most}, to {_show(target)}", answer)
    if _get_origin(target) == _get_origin(last.target):
        return last._replace(target=target)
    return Leg(
        target,
        build_host(target.host, target.port, target.scheme),
        last.origin,
        [(name, value) for name, value in last.headers if name.lower() not in _SECRETS],
        last.is_elsewhere or target.host != last.target.host,
    )


def _resolve(base: Target, answer: Answer) -> Target:
    locations = get_all(answer.headers, "Location")
    if len(locations) > 1:
        raise ValueError(f"there are {len(locations)} headers Location")
    # Bytes beyond ASCII are encoded as they are; urljoin() would take others out without a word.
    location = "".join(char if char.isascii() else f"%{ord(char):02X}" for char in locations[0])
    check_characters(location)
    host = build_host(base.host, base.port, base.scheme)
    url, _ = urldefrag(urljoin(f"{_AS_HTTP[base.scheme]}://{host}{base.resource}", location))
    scheme, mark, rest = url.partition("://")
    if scheme.lower() not in _AS_WS or not mark:
        raise ValueError(f"{quote(location)} begins with neither ws, wss, http nor https")
    target = parse_url(f"{_AS_WS[scheme.lower()]}://{rest}")._replace(userinfo=None)
    if base.unix_socket_path is not None:
        split = urlsplit(location)
        if split.scheme or split.netloc:
            raise ValueError(f"{quote(location)} leads away from a Unix socket")
        return base._replace(resource=target.resource)
    if target.host == base.host.partition("%")[0]:
        target = target._replace(host=base.host)  # the server does not know what we call its network
    if base.scheme == "wss" and target.scheme != "wss":
        raise ValueError(f"{quote(location)} has no TLS, unlike the URL")
    return target


def _get_origin(target: Target) -> tuple[object, ...]:
    return target.scheme, target.host, target.port, target.unix_socket_path


def _show(target: Target) -> str:
    return quote(f"{target.scheme}://{build_host(target.host, target.port, target.scheme)}{target.resource}")


def _refuse(reason: str, answer: Answer) -> HandshakeError:
    return HandshakeError(reason, answer.status, answer.headers)
