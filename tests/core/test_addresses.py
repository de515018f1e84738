"""core.addresses: who the client is, behind however many proxies."""

from __future__ import annotations

import pytest

from ws4py_middleware.core.addresses import client_address, client_network

PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "trusted", "expected"),
    [
        (None, 1, PEER),
        ("", 1, PEER),
        ("203.0.113.9", 0, PEER),  # nobody is trusted
        ("203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", 1, "203.0.113.9"),  # the client has written the first
        ("6.6.6.6,6.6.6.7 , 203.0.113.9,10.0.0.2", 2, "203.0.113.9"),
        ("203.0.113.9", 2, PEER),  # fewer have spoken than there are
        ("203.0.113.9, ", 1, PEER),
        ("unknown", 1, PEER),
        ("_hidden, 203.0.113.9", 2, PEER),
        ("203.0.113.9:4711", 1, "203.0.113.9"),
        ("[2001:db8::1]:4711", 1, "2001:db8::1"),
        ('"[2001:db8::1]"', 1, "2001:db8::1"),
        ("2001:DB8::1", 1, "2001:db8::1"),
        ("fe80::1%eth0", 1, "fe80::1"),
        ("::ffff:203.0.113.9", 1, "203.0.113.9"),
        ("1" * 1000, 1, PEER),
        ("203.0.113.9\r\nX: y", 1, PEER),
    ],
)
def test_client_address_is_what_the_first_trusted_proxy_has_seen(
    forwarded: str | None, trusted: int, expected: str
) -> None:
    assert client_address(PEER, forwarded, trusted) == expected


@pytest.mark.parametrize("spoofed", ["", "6.6.6.6", "6.6.6.6, 6.6.6.7", ",,,", "203.0.113.8, " * 50])
def test_client_address_whatever_the_client_says_first_it_is_the_same(spoofed: str) -> None:
    forwarded = f"{spoofed}, 203.0.113.9" if spoofed else "203.0.113.9"
    assert client_address(PEER, forwarded, 1) == "203.0.113.9"
    assert client_address(PEER, forwarded + ", 10.0.0.2", 2) == "203.0.113.9"
    assert client_address(PEER, spoofed, 0) == PEER


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("/run/app.sock", "/run/app.sock"),
        ("x" * 1000, "x" * 255),
    ],
)
def test_client_network_is_what_counts_as_one_client(address: str, expected: str) -> None:
    assert client_network(address) == expected
