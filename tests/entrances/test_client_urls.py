"""client.urls: what a URL says, and which are refused."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ws4py_middleware.client.urls import Target, build_host, parse_url
from ws4py_middleware.core.handshake import check_target
from ws4py_middleware.core.origins import parse_host


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://localhost", ("ws", "localhost", 80, None, "/", None)),
        ("WS://Example.COM/a", ("ws", "example.com", 80, None, "/a", None)),
        ("wss://example.com?x=1", ("wss", "example.com", 443, None, "/?x=1", None)),
        ("wss://example.com:/", ("wss", "example.com", 443, None, "/", None)),
        ("ws://h/a%20b/?q=%23&e=", ("ws", "h", 80, None, "/a%20b/?q=%23&e=", None)),
        ("ws://h/?", ("ws", "h", 80, None, "/?", None)),
        ("ws://h//a//?a=b?c/d", ("ws", "h", 80, None, "//a//?a=b?c/d", None)),
        ("ws://127.0.0.1:8000/", ("ws", "127.0.0.1", 8000, None, "/", None)),
        ("ws://[::1]:9000/", ("ws", "::1", 9000, None, "/", None)),
        ("wss://[2001:DB8:0:0::1]", ("wss", "2001:db8::1", 443, None, "/", None)),
        ("ws://[fe80::1%25eth0]/", ("ws", "fe80::1%eth0", 80, None, "/", None)),
        ("ws://a_b-c.example./", ("ws", "a_b-c.example.", 80, None, "/", None)),
        ("ws://\u00fc.de/\u00e9?\u20ac", ("ws", "xn--tda.de", 80, None, "/%C3%A9?%E2%82%AC", None)),
        ("ws://u:p@h", ("ws", "h", 80, None, "/", ("u", "p"))),
        ("ws://u%40x:a%3Ab%2F:c@h:1/", ("ws", "h", 1, None, "/", ("u@x", "a:b/:c"))),
        ("ws://u@h", ("ws", "h", 80, None, "/", ("u", ""))),
        ("ws://:p@h", ("ws", "h", 80, None, "/", ("", "p"))),
        ("ws+unix:///tmp/my.sock", ("ws+unix", "localhost", None, "/tmp/my.sock", "/", None)),
        ("wss+unix://Name/tmp/a%20b?q=1", ("wss+unix", "name", None, "/tmp/a b", "/?q=1", None)),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(url: str, expected: tuple[object, ...]) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("", "such as wss://"),
        ("localhost:8000", "such as wss://"),
        ("//localhost", "such as wss://"),
        ("ws:/h", "such as wss://"),
        ("http://h/", "scheme is 'http'"),
        ("ws://h/#top", "fragment '#top'"),
        ("ws://h#", "fragment '#'"),
        ("ws+unix:///s#x", "fragment"),
        ("ws://", "no host"),
        ("ws://:80/", "no host"),
        ("ws:///path", "no host"),
        ("ws://u@/", "no host"),
        ("ws://h:0/", "no port '0'"),
        ("ws://h:65536/", "no port"),
        ("ws://h:" + "9" * 5000, "no port"),
        ("ws://h:x/", "not a host"),
        ("ws://h:1:2/", "not a host"),
        ("ws://::1/", "not a host"),
        ("ws://[::1/", "not a host"),
        ("ws://[::1]x/", "not a host"),
        ("ws://[127.0.0.1]/", "not an IPv6"),
        ("ws://[]/", "not an IPv6"),
        ("ws://[::1%25]/", "no zone"),
        ("ws://[::1%eth0]/", "not an IPv6"),
        ("ws://a..b/", "not the name"),
        ("ws://a%41/", "not the name"),
        ("ws://" + "a" * 64 + ".b/", "not the name"),
        ("ws://" + "a." * 127 + "b/", "not the name"),
        ("ws://\u2024/", "not the name"),
        ("ws://u%3Ax:p@h/", "a colon"),
        ("ws+unix://", "no path"),
        ("ws+unix:///a%00b", "no path"),
        ("ws+unix://h:80/s", "no port"),
        *[(f"ws://h/a{character}b", "percent-encoded") for character in " \t\r\n\0\x7f\x85\xa0\\\u2028"],
        (" ws://h/", "percent-encoded"),
        ("ws://h/\n", "percent-encoded"),
    ],
)
def test_what_is_no_url_of_a_websocket_is_refused_by_name(url: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        parse_url(url)


def test_a_password_is_in_no_message() -> None:
    for url in (
        "ws://u:secret@",
        "ws://u%3A:secret@h",
        "ws://u:secret@h:0",
        "ws://u:secret@h#f",
        "http://u:secret@h",
        "ws://u:secret/x@h",
        "ws://u:secret?x@h",
        "ws://u:x#secret@h",
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the messages differ, and are looked at
            parse_url(url)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "scheme", "expected"),
    [
        ("h", 80, "ws", "h"),
        ("h", 443, "ws", "h:443"),
        ("h", 443, "wss", "h"),
        ("::1", 81, "ws", "[::1]:81"),
        ("fe80::1%eth0", 80, "ws", "[fe80::1]"),
        ("localhost", None, "ws+unix", "localhost"),
    ],
)
def test_host_has_the_port_unless_it_goes_without_saying(
    host: str, port: int | None, scheme: str, expected: str
) -> None:
    assert build_host(host, port, scheme) == expected


@given(st.text() | st.text("ws+unix:/[]@%#?.aA1 \u00e9").map("ws:/".__add__))
@example("ws://[::ffff:1.2.3.4]:1/\ud800")
@example("ws://\ud800/")
def test_any_text_is_parsed_or_a_valueerror(url: str) -> None:
    with contextlib.suppress(ValueError):
        target = parse_url(url)
        check_target(target.resource)
        parse_host(build_host(target.host, target.port, target.scheme))


_LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_HOSTS = st.lists(_LABELS, min_size=1, max_size=4).map(".".join) | st.ip_addresses(v=4).map(str)
_PATHS = st.lists(st.text("abc%20~!$&'()*+,;=:@-._\"<>^`{|}[]")).map(lambda parts: "/" + "/".join(parts))


@given(
    st.sampled_from(["ws", "wss"]),
    _HOSTS | st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.integers(1, 65535),
    _PATHS,
    st.none() | st.text("ab=&?/%1:@"),
)
def test_what_a_url_was_made_of_comes_out_of_it(
    scheme: str, host: str, port: int, path: str, query: str | None
) -> None:
    resource = path if query is None else f"{path}?{query}"
    name = str(ipaddress.IPv6Address(host[1:-1])) if host[0] == "[" else host
    assert parse_url(f"{scheme}://{host}:{port}{resource}") == Target(scheme, name, port, None, resource)
