"""
Which proxy is between the client and a server: the one that was given, or the environment's.

>>> parse_proxy("http://user:secret@proxy.example:3128").where
'proxy.example:3128'
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.request import getproxies_environment

from ..core.headers import quote
from .steps import build_where
from .urls import Target, check_characters, parse_authority

__all__ = ["Proxy", "choose_proxy", "parse_proxy"]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_ADDRESS_AND_PORT = re.compile(r"(?:\[(?P<v6>[^]]*)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")

#: The schemes of proxies, and the ports that go without saying.
_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}

#: SOCKS has a byte for the length of each, RFC 1929.
_LONGEST = 255


class Proxy(NamedTuple):
    """A proxy."""

    #: ``http``, ``socks5`` or ``socks5h``.
    scheme: str
    host: str
    port: int
    #: User and password, decoded.
    userinfo: tuple[str, str] | None = None

    @property
    def where(self) -> str:
        """Host and port, as people write them; without the password."""
        return build_where(self.host, self.port)


def parse_proxy(url: str, source: str = "proxy") -> Proxy:
    """
    Parse the URL of a proxy; without a scheme it is one of HTTP, as environments have it.

    Args:
        source: Where the URL was found, for the message; which never has the password in it.

    Raises:
        ValueError: It is none, or one of a kind that is not spoken here.
    """
    scheme, mark, rest = url.partition("://")
    scheme, rest = (scheme.lower(), rest) if mark else ("http", url)
    if scheme == "https":
        raise ValueError(
            f"{source} begins with https://, for TLS to the proxy itself, which is not spoken here; "
            "write http:// (a wss:// connection is in TLS all the way to the server nevertheless)"
        )
    if scheme not in _PORTS:
        raise ValueError(f"{source} begins with {quote(scheme)}; a proxy's URL begins with http or socks5")
    rest = rest.removesuffix("/")
    if any(mark in rest for mark in "/?#"):
        raise ValueError(f"{source} has a path; it is such as http://user:password@proxy.example:3128")
    try:
        check_characters(rest)
        userinfo, host, port = parse_authority(rest, _PORTS[scheme])
    except ValueError as error:
        raise ValueError(f"{source} is not the URL of a proxy: {error}") from None
    if scheme != "http" and any(len(text.encode()) > _LONGEST for text in userinfo or ()):
        raise ValueError(f"{source} has a user or password of more than {_LONGEST} bytes, SOCKS takes none")
    assert port is not None
    return Proxy(scheme, host, port, userinfo)


def choose_proxy(setting: str | bool | None, target: Target) -> Proxy | None:
    """
    Return the proxy that a server is reached through; ``None`` without one.

    Args:
        setting: The URL of a proxy; or ``True`` for that of the environment, in ``HTTPS_PROXY`` for
            ``wss``, ``HTTP_PROXY`` for ``ws``, or ``ALL_PROXY`` (or in lower case), unless ``NO_PROXY``
            has the host, or it is this machine; or ``None``.

    Raises:
        ValueError: It is not one that is spoken here.
    """
    if not setting or target.unix_socket_path is not None:
        return None
    if isinstance(setting, str):
        return parse_proxy(setting)
    proxies = getproxies_environment()
    name = "https" if target.scheme == "wss" else "http"
    if name not in proxies:
        name = "all"
    if name not in proxies or _is_bypassed(target, proxies.get("no", "")):
        return None
    return parse_proxy(proxies[name], f"{name.upper()}_PROXY of the environment")


def _is_bypassed(target: Target, entries: str) -> bool:
    host, port = target.host.rstrip("."), target.port
    found = entries.replace(",", " ").split()  # curl takes either
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return any(_has_name(entry.lower(), host, port) for entry in found)
    return address.is_loopback or any(_has_address(entry, address, port) for entry in found)


def _has_name(entry: str, host: str, port: int | None) -> bool:
    """Tell whether an entry of ``NO_PROXY`` has a host: by its name, or a domain that it is in."""
    if entry == "*":
        return True
    name, _, digits = entry.partition(":")
    domain = name.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(domain) and digits in ("", str(port)) and f".{host}".endswith(f".{domain}")


def _has_address(entry: str, address: IPAddress, port: int | None) -> bool:
    """Tell whether an entry has an address: as it is, with a port, or in a network such as ``10.0.0.0/8``."""
    if entry == "*":
        return True
    match = _ADDRESS_AND_PORT.fullmatch(entry)
    if match is not None:
        if int(match["port"]) != port:
            return False
        entry = match["v6"] or match["v4"]
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False  # a name
