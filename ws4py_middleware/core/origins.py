"""
Origins and hosts: whose pages may connect, and under which names we are served.

A browser lets any page open a WebSocket to any server and sends the cookies
along; the ``Origin`` header is all that tells whose page it is,
:rfc:`6455#section-10.2`. So origins are compared as what they are, a scheme, a
host and a port, and never as pieces of text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .headers import quote

__all__ = ["Host", "Origin", "is_allowed_host", "is_allowed_origin", "parse_host", "parse_origin"]

Rule = str | re.Pattern[str]

#: The default port of a scheme. ws4py's client says ``ws``; no page can.
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE = frozenset({"https", "wss"})

_AUTHORITY = r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+;=%\-]+)(?::([0-9]{0,5}))?"
_HOST = re.compile(_AUTHORITY)
_ORIGIN = re.compile(rf"([A-Za-z][0-9A-Za-z+.\-]*)://{_AUTHORITY}")


class Host(NamedTuple):
    """The value of ``Host``: a name or address in lower case, and the port if there was one."""

    name: str
    port: int | None

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name}:{self.port}"


class Origin(NamedTuple):
    """A page's origin, :rfc:`6454`; ``port`` is the scheme's default where none was written."""

    scheme: str
    name: str
    port: int | None

    def __str__(self) -> str:
        if self.port is None or self.port == _PORTS.get(self.scheme):
            return f"{self.scheme}://{self.name}"
        return f"{self.scheme}://{self.name}:{self.port}"


def parse_host(text: str) -> Host:
    """
    Parse the value of ``Host``, :rfc:`9110#section-7.2`.

    Raises:
        ValueError: It is not exactly one host.

    >>> parse_host("Example.COM:8080")
    Host(name='example.com', port=8080)
    """
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote(text)} is not one host, such as example.com:8000")
    return Host(*_parse_authority(match[1], match[2]))


def parse_origin(text: str) -> Origin:
    """
    Parse an origin as browsers write it: a scheme, a host, perhaps a port, and nothing else.

    Raises:
        ValueError: It is not exactly that; ``null`` is none either.

    >>> str(parse_origin("https://Example.com:443"))
    'https://example.com'
    """
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote(text)} is not one origin, such as https://example.com")
    scheme = match[1].lower()
    name, port = _parse_authority(match[2], match[3])
    return Origin(scheme, name, _PORTS.get(scheme) if port is None else port)


def _parse_authority(name: str, port: str | None) -> tuple[str, int | None]:
    if name[0] == "[":
        name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
    number = int(port) if port else None
    if number is not None and number > 65535:
        raise ValueError(f"there is no port {number}")
    return name.lower(), number


def is_allowed_origin(
    text: str, rules: str | Sequence[Rule] | Callable[[str], bool], host: Host, *, secure: bool
) -> bool:
    """
    Tell whether pages of an origin may connect.

    Anything that is not written as an origin, such as one with a path, is let
    in by no rule but ``"*"``. Case and a default port make no difference.

    Args:
        text: The value of ``Origin``.
        rules: As :attr:`.Policy.origins`; a list may have ``"same"`` among its elements.
            A callable is given the origin in its normal form, or ``"null"``.
        host: The request's host, for ``"same"``.
        secure: Whether the request came through TLS, as far as we know: a proxy
            in front may have ended it.
    """
    if rules == "*":
        return True
    origin: Origin | None = None
    if text != "null":
        try:
            origin = parse_origin(text)
        except ValueError:
            return False
    normal = text if origin is None else str(origin)
    if callable(rules):
        return bool(rules(normal))
    for rule in (rules,) if isinstance(rules, str) else rules:
        if rule == "same":
            if origin is not None and _is_same(origin, host, secure):
                return True
        elif rule == "*" or _matches(rule, normal):
            return True
    return False


def _is_same(origin: Origin, host: Host, secure: bool) -> bool:
    default = _PORTS.get(origin.scheme)
    if default is None or (secure and origin.scheme not in _SECURE):
        return False
    port = default if host.port is None else host.port
    return (origin.name, origin.port) == (host.name, port)


def is_allowed_host(host: Host, rules: Sequence[Rule] | None) -> bool:
    """
    Tell whether a host is served here.

    Args:
        host: The request's host.
        rules: As :attr:`.Policy.hosts`. A rule without a port matches the host at any port.
    """
    return rules is None or any(_matches(rule, host.name) or _matches(rule, str(host)) for rule in rules)


def _matches(rule: Rule, text: str) -> bool:
    if isinstance(rule, re.Pattern):
        return rule.fullmatch(text) is not None
    if "*" in rule:
        return _matches_wildcards(rule.lower(), text)
    try:
        return str(parse_origin(rule)) == text
    except ValueError:
        return rule.lower() == text


def _matches_wildcards(rule: str, text: str) -> bool:
    """Match the whole text, in linear time; a ``*`` is any run of characters but a slash."""
    first, *middle, last = rule.split("*")
    # The rule's own slashes match as many of the text's: with that, none is left for a wildcard.
    if text.count("/") != rule.count("/") or len(text) < len(first) + len(last):
        return False
    if not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True
