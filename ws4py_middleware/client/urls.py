"""
What a client connects to, as a URL: ``ws``, ``wss``, and the two over a Unix socket.

Pure functions over text. The standard library's ``urlsplit()`` takes line ends and
tabs out of a URL without a word, and lets much else pass; here, what does not fit
the grammar is a :exc:`ValueError` that says so, :rfc:`3986` and :rfc:`6455#section-3`.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote as percent_encode
from urllib.parse import unquote

from ..core.headers import quote

__all__ = [
    "DEFAULT_PORTS",
    "Target",
    "build_basic_auth",
    "build_host",
    "check_characters",
    "parse_authority",
    "parse_url",
]

#: The schemes, and the ports that go without saying; a Unix socket has none.
DEFAULT_PORTS: dict[str, int | None] = {"ws": 80, "wss": 443, "ws+unix": None, "wss+unix": None}

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
    r"(?P<fragment>#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>[0-9]*))?")
_NAME = re.compile(r"[0-9a-z_~!$&'()*+;=\-]+(?:\.[0-9a-z_~!$&'()*+;=\-]+)*\.?")
_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
#: All that may stand in a path or query; what is beyond ASCII is encoded.
_SAFE = "!\"$%&'()*+,-./:;<=>?@[]^_`{|}~"


class Target(NamedTuple):
    """What a URL says."""

    #: ``ws``, ``wss``, ``ws+unix`` or ``wss+unix``.
    scheme: str
    #: A name or an address, without brackets; ``localhost`` when a Unix socket's URL has none.
    host: str
    #: ``None`` for a Unix socket.
    port: int | None
    unix_socket_path: str | None
    #: Path and query, encoded.
    resource: str
    #: User and password, decoded.
    userinfo: tuple[str, str] | None = None


def parse_url(url: str) -> Target:
    """
    Parse the URL of a WebSocket.

    Raises:
        ValueError: It is none; it has a fragment, which no WebSocket has; or a character that no URL has.

    >>> parse_url("wss://example.com/chat?room=1")
    Target(scheme='wss', host='example.com', port=443, unix_socket_path=None, resource='/chat?room=1',
    userinfo=None)
    >>> parse_url("ws+unix:///run/app.sock").unix_socket_path
    '/run/app.sock'
    """
    check_characters(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("the URL is not one of a WebSocket, such as wss://example.com/chat")
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"the URL's scheme is {quote(scheme)}; it is one of {', '.join(DEFAULT_PORTS)}")
    if (fragment := match["fragment"]) is not None:
        shown = "" if "@" in fragment else f" {quote(fragment)}"  # which is perhaps half of a password
        raise ValueError(f"the URL has the fragment{shown}; a WebSocket has none (write # as %23)")
    is_unix = scheme.endswith("+unix")
    default_host = "localhost" if is_unix else ""
    try:
        userinfo, host, port = parse_authority(match["authority"], DEFAULT_PORTS[scheme], default_host)
    except ValueError:
        if "@" not in (match["path"] + (match["query"] or "")):
            raise
        # What looks like the host is perhaps half of a password.
        raise ValueError(
            "the URL has no host in front of its first / or ?; these are percent-encoded in a password"
        ) from None
    if is_unix and port is not None:
        raise ValueError("the URL of a Unix socket has no port")
    path, query = match["path"], "" if match["query"] is None else f"?{match['query']}"
    socket_path = None
    if is_unix:
        socket_path, path = unquote(path, errors="surrogateescape"), "/"  # as the file system has it
        if not socket_path or "\0" in socket_path:
            raise ValueError("the URL has no path of a Unix socket, such as ws+unix:///run/app.sock")
    return Target(scheme, host, port, socket_path, _encode(path or "/") + _encode(query), userinfo)


def check_characters(url: str) -> None:
    """
    Check that there is no character that no URL has.

    Raises:
        ValueError: There is a space, a line end or the like.
    """
    if found := _SPACE.search(url):
        raise ValueError(f"the URL has {quote(found[0])} in it, which has to be percent-encoded")


def parse_authority(
    text: str, default_port: int | None, default_host: str = ""
) -> tuple[tuple[str, str] | None, str, int | None]:
    """
    Parse ``user:password@host:port``.

    Returns:
        User and password, decoded, or ``None``; the host, an address without brackets; the port.

    Raises:
        ValueError: It is none; the message has nothing of the user and the password.
    """
    credentials, mark, text = text.rpartition("@")
    userinfo = _parse_userinfo(credentials) if mark else None
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote(text)} in the URL is not a host, such as example.com:8000 or [::1]:8000")
    host = _parse_host(match["host"] or default_host)
    digits = match["port"]
    if not digits:
        return userinfo, host, default_port
    port = int(digits) if len(digits) <= 5 else 0
    if not 1 <= port <= 65535:
        raise ValueError(f"there is no port {quote(digits)}; they are 1 to 65535")
    return userinfo, host, port


def _parse_userinfo(text: str) -> tuple[str, str]:
    # It is a secret, or beside one: no message shows it.
    user, _, password = text.partition(":")
    user, password = unquote(user), unquote(password)
    if ":" in user:
        raise ValueError("the URL's user has a colon, which basic authentication cannot carry")
    return user, password


def _parse_host(text: str) -> str:
    if text.startswith("["):
        # RFC 6874: the zone comes behind %25.
        address, percent, zone = text[1:-1].partition("%25")
        try:
            name = str(ipaddress.IPv6Address(address.replace("%", "/")))  # no zone in its other spelling
        except ValueError:
            raise ValueError(f"{quote(text)} in the URL is not an IPv6 address") from None
        if percent and not re.fullmatch(r"[0-9A-Za-z._~\-]+", zone):
            raise ValueError(f"{quote(text)} in the URL has no zone behind its %25")
        return f"{name}%{zone}" if percent else name
    name = text.lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f"{quote(text)} in the URL is not the name of a host") from None
    if not name:
        raise ValueError("the URL has no host")
    if not _NAME.fullmatch(name) or len(name) > 253 or any(len(label) > 63 for label in name.split(".")):
        raise ValueError(f"{quote(text)} in the URL is not the name of a host")
    return name


def _encode(text: str) -> str:
    return text if text.isascii() else percent_encode(text, safe=_SAFE)


def build_host(host: str, port: int | None, scheme: str) -> str:
    """
    Build the value of ``Host``: the port is left out where it goes without saying.

    >>> build_host("::1", 8000, "ws"), build_host("example.com", 443, "wss")
    ('[::1]:8000', 'example.com')
    """
    name = f"[{host.partition('%')[0]}]" if ":" in host else host
    return name if port is None or port == DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


def build_basic_auth(user: str, password: str) -> str:
    """
    Build the value of ``Authorization``, :rfc:`7617`.

    >>> build_basic_auth("Aladdin", "open sesame")
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
    """
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"
