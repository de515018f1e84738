"""
Addresses: whose connection it is, behind however many proxies, and what counts as one client.

Only what a trusted proxy has written is looked at. Each proxy adds the address of whoever talks to it at
the end of ``X-Forwarded-For``; so of N proxies the first has written the N-th value from the right, and
what stands left of that comes from the client, who may have made it up.
"""

from __future__ import annotations

import ipaddress

__all__ = ["client_address", "client_network"]

#: What an IPv6 client usually has to itself, and changes its address in as it likes; bits.
_IPV6_PREFIX = 64

#: Longer text is no address of anything.
_MAX_TEXT = 255


def client_address(peer: str, forwarded: str | None, trusted: int) -> str:
    """
    Return the address of the client.

    Args:
        peer: The address of whoever has connected: the client's, or that of the last proxy.
        forwarded: All values of ``X-Forwarded-For``, joined by commas; ``None`` without the header.
        trusted: How many proxies there are. Where fewer have spoken, or what the first of them has written
            is no IP address, it is the peer's.

    >>> client_address("10.0.0.1", "6.6.6.6, 203.0.113.9", 1)
    '203.0.113.9'
    >>> client_address("203.0.113.9", "6.6.6.6", 0), client_address("10.0.0.1", "203.0.113.9", 2)
    ('203.0.113.9', '10.0.0.1')
    """
    if trusted < 1 or not forwarded:
        return peer
    values = forwarded.rsplit(",", trusted)
    if len(values) < trusted:
        return peer
    found = _parse(values[-trusted])
    return peer if found is None else str(found)


def client_network(address: str) -> str:
    """
    Return what counts as one client: an IPv4 address, the /64 of an IPv6 address, or the text as it is.

    >>> client_network("2001:db8:1:2:3::4"), client_network("::ffff:203.0.113.9")
    ('2001:db8:1:2::/64', '203.0.113.9')
    """
    found = _parse(address)
    if found is None:
        return address[:_MAX_TEXT]
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(found), _IPV6_PREFIX), strict=False))
    return str(found)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an address, which may have a port or a zone; one of IPv4 in IPv6's clothes is one of IPv4."""
    text = text.strip().strip('"')
    if len(text) > _MAX_TEXT:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
