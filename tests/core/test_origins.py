from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.core.origins import (
    Host,
    Origin,
    is_allowed_host,
    is_allowed_origin,
    parse_host,
    parse_origin,
)

HERE = Host("example.com", None)
MALFORMED = [
    "",
    "example.com",
    "https://",
    "https:/example.com",
    "https:example.com",
    "//example.com",
    "https://example.com/",
    "https://example.com/x",
    "https://example.com?x",
    "https://example.com#x",
    "https://example.com\\x",
    "https://user@example.com",
    "https://user:word@example.com",
    "https://example.com:x",
    "https://example.com:80:80",
    "https://example.com:65536",
    "https://example.com:080808",
    "https://example.com:-1",
    "https://example.com:٣",
    "https://example.com https://example.com",
    "https://example.com, https://example.com",
    " https://example.com",
    "https://example.com\n",
    "https://exa mple.com",
    "https://ex\u00e4mple.com",
    "https://[::1",
    "https://[::1]x",
    "https://[::g]",
    "https://[1.2.3.4]",
    "https://[fe80::1%eth0]",
    "https://[]",
    "1https://example.com",
    "null",
    "NULL",
]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", Host("example.com", None)),
        ("EXAMPLE.com:8080", Host("example.com", 8080)),
        ("example.com:", Host("example.com", None)),
        ("127.0.0.1:80", Host("127.0.0.1", 80)),
        ("[::1]:8000", Host("[::1]", 8000)),
        ("[0:0:0:0:0:0:0:1]", Host("[::1]", None)),
        ("[2001:DB8::A]", Host("[2001:db8::a]", None)),
        ("my_host", Host("my_host", None)),
        ("xn--bcher-kva.example", Host("xn--bcher-kva.example", None)),
        ("a:65535", Host("a", 65535)),
    ],
)
def test_parse_host_one_host_is_normalised(text: str, host: Host) -> None:
    assert parse_host(text) == host
    assert parse_host(str(host)) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "a,b",
        "a, b",
        "a b",
        "a/",
        "http://a",
        "user@a",
        "a:b",
        "a:1:2",
        "a:65536",
        "a:999999",
        "b\xfccher",
        "a\n",
        "a\x00",
        "[::1",
        "[:::]",
        "::1",
    ],
)
def test_parse_host_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_host(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "origin", "normal"),
    [
        ("https://example.com", Origin("https", "example.com", 443), "https://example.com"),
        ("HTTPS://Example.COM:443", Origin("https", "example.com", 443), "https://example.com"),
        ("http://example.com:8080", Origin("http", "example.com", 8080), "http://example.com:8080"),
        ("http://[::1]:8000", Origin("http", "[::1]", 8000), "http://[::1]:8000"),
        ("http://[0::1]", Origin("http", "[::1]", 80), "http://[::1]"),
        ("ws://127.0.0.1:9000", Origin("ws", "127.0.0.1", 9000), "ws://127.0.0.1:9000"),
        ("moz-extension://0a-1b", Origin("moz-extension", "0a-1b", None), "moz-extension://0a-1b"),
        ("app://local:1", Origin("app", "local", 1), "app://local:1"),
    ],
)
def test_parse_origin_one_origin_is_normalised(text: str, origin: Origin, normal: str) -> None:
    assert parse_origin(text) == origin
    assert str(origin) == normal


@pytest.mark.parametrize("text", MALFORMED)
def test_parse_origin_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_origin(text)


@pytest.mark.parametrize("text", [text for text in MALFORMED if text.lower() != "null"])
def test_is_allowed_origin_what_is_no_origin_is_let_in_by_no_rule_but_all(text: str) -> None:
    everything = re.compile(".*", re.DOTALL)

    def is_ours(origin: str) -> bool:
        raise AssertionError("it was asked")

    assert not is_allowed_origin(text, "same", HERE, secure=False)
    assert not is_allowed_origin(text, ["*", everything, text, "https://*"], HERE, secure=False)
    assert not is_allowed_origin(text, is_ours, HERE, secure=False)
    assert is_allowed_origin(text, "*", HERE, secure=False)


@pytest.mark.parametrize(
    ("text", "host", "secure", "allowed"),
    [
        ("http://example.com", "example.com", False, True),
        ("http://EXAMPLE.com", "example.COM", False, True),
        ("http://example.com:80", "example.com", False, True),
        ("http://example.com", "example.com:80", False, True),
        ("http://example.com:8000", "example.com:8000", False, True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", False, True),
        ("http://[::1]:8000", "[0:0::1]:8000", False, True),
        ("http://xn--bcher-kva.example", "xn--bcher-kva.example", False, True),
        # A proxy in front may have ended TLS.
        ("https://example.com", "example.com", False, True),
        ("https://example.com", "example.com", True, True),
        ("https://example.com", "example.com:443", False, True),
        # ws4py's own client.
        ("ws://example.com:9000", "example.com:9000", False, True),
        ("wss://example.com", "example.com:443", True, True),
        # A page that came without TLS may not reach what comes with it.
        ("http://example.com", "example.com", True, False),
        ("http://example.com:8443", "example.com:8443", True, False),
        ("ws://example.com", "example.com", True, False),
        # Another port, another site.
        ("http://example.com:8000", "example.com", False, False),
        ("http://example.com", "example.com:8000", False, False),
        ("https://example.com", "example.com:80", False, False),
        # Other schemes have no pages of ours.
        ("file://example.com", "example.com", False, False),
        ("chrome-extension://example.com", "example.com", False, False),
        ("null", "null", False, False),
        ("http://xn--bcher-kva.example", "bcher.example", False, False),
        ("http://localhost", "127.0.0.1", False, False),
    ],
)
def test_is_allowed_origin_same(text: str, host: str, secure: bool, allowed: bool) -> None:
    assert is_allowed_origin(text, "same", parse_host(host), secure=secure) is allowed
    assert is_allowed_origin(text, ["same"], parse_host(host), secure=secure) is allowed


LOOK_ALIKES = [
    "https://evil-example.com",
    "https://evilexample.com",
    "https://example.com.evil.com",
    "https://example.com.",
    "https://evil.example.com",
    "https://www.example.com",
    "https://example.co",
    "https://example.comm",
    "https://example.com:1234",
    "https://example.com@evil.com",
    "https://evil.com/example.com",
    "https://evil.com#example.com",
    "https://evil.com?https://example.com",
    "https://example.com/",
    "https://examp1e.com",
    "https://xn--exmple-cua.com",
    "https://ex\u0430mple.com",
    "https://example.com\x00.evil.com",
    "https://example.com\r\nOrigin: https://example.com",
    "https://example.com https://evil.com",
    "https://exampleXcom",
    "example.com",
    "null",
    "",
]


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_is_allowed_origin_no_look_alike_is_accepted(text: str) -> None:
    for rules in (
        "same",
        ["https://example.com"],
        ["HTTPS://example.com:443"],
        [re.compile(r"https://example\.com")],
    ):
        assert is_allowed_origin("https://example.com", rules, HERE, secure=True)
        assert not is_allowed_origin(text, rules, HERE, secure=True)


@pytest.mark.parametrize(
    ("rule", "text", "allowed"),
    [
        ("https://*.example.com", "https://www.example.com", True),
        ("https://*.EXAMPLE.com", "https://a.b.Example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "http://www.example.com", False),
        ("https://*.example.com", "https://www.example.com:8443", False),
        ("https://*.example.com", "https://www.example.com.evil.com", False),
        ("https://*.example.com", "https://evil.com/.example.com", False),
        ("https://*.example.com", "https://evil.com?.example.com", False),
        ("https://*.example.com", "https://evil.com#.example.com", False),
        ("https://*.example.com", "https://a@.example.com", False),
        ("http://localhost:*", "http://localhost:5173", True),
        ("http://localhost:*", "http://localhost.evil.com:1", False),
        ("*://example.com", "http://example.com", True),
        ("*://example.com", "http://evil.example.com", False),
        ("https://*.dev.*.example", "https://a.dev.b.example", True),
        ("https://*.dev.*.example", "https://a.prod.b.example", False),
        ("https://*.dev.*.example", "https://a.dev.example", False),
        ("https://aa*aa.com", "https://aaa.com", False),
        ("https://aa*aa.com", "https://aaaa.com", True),
        # A wildcard is never a slash, so this is no way to say "all" but for what follows.
        ("*example.com", "https://example.com", False),
        ("*", "https://example.com", True),
        ("null", "null", True),
        ("https://example.com", "null", False),
        ("same", "null", False),
        ("app://local", "APP://Local", True),
    ],
)
def test_is_allowed_origin_rules_of_a_list(rule: str, text: str, allowed: bool) -> None:
    assert is_allowed_origin(text, ["https://other.example", rule], HERE, secure=False) is allowed


def test_is_allowed_origin_patterns_match_the_whole_normal_form() -> None:
    rules = [re.compile(r"https://[a-z]+\.example\.com")]
    assert is_allowed_origin("https://WWW.example.com:443", rules, HERE, secure=False)
    assert not is_allowed_origin("https://www.example.com.evil.com", rules, HERE, secure=False)
    assert not is_allowed_origin("https://www.example.com", [re.compile("https")], HERE, secure=False)
    assert not is_allowed_origin("https://www.example.com", [], HERE, secure=False)


def test_is_allowed_origin_a_callable_is_asked_for_the_normal_form() -> None:
    asked: list[str] = []

    def is_ours(origin: str) -> bool:
        asked.append(origin)
        return origin == "https://example.com"

    assert is_allowed_origin("HTTPS://Example.com:443", is_ours, HERE, secure=False) is True
    assert is_allowed_origin("https://evil.com", is_ours, HERE, secure=False) is False
    assert is_allowed_origin("null", is_ours, HERE, secure=False) is False
    assert asked == ["https://example.com", "https://evil.com", "null"]


@pytest.mark.parametrize(
    ("rule", "host", "allowed"),
    [
        ("example.com", "EXAMPLE.com", True),
        ("Example.com", "example.com:8000", True),
        ("example.com:8000", "example.com:8000", True),
        ("example.com:8000", "example.com:80", False),
        ("example.com", "www.example.com", False),
        ("example.com", "example.com.evil.com", False),
        ("*.example.com", "www.example.com:1", True),
        ("*.example.com", "example.com", False),
        ("localhost:*", "localhost:8000", True),
        ("[::1]", "[0::1]:80", True),
        (re.compile(r"(www\.)?example\.com"), "www.example.com:80", True),
        (re.compile(r"example\.com:80"), "example.com:80", True),
        (re.compile("example"), "example.com", False),
    ],
)
def test_is_allowed_host_rules(rule: str | re.Pattern[str], host: str, allowed: bool) -> None:
    assert is_allowed_host(parse_host(host), ["other.example", rule]) is allowed


def test_is_allowed_host_without_rules_all_are_served_and_by_an_empty_list_none() -> None:
    assert is_allowed_host(HERE, None)
    assert not is_allowed_host(HERE, [])


labels = st.text("abc.", max_size=12)


@given(st.lists(labels, min_size=2, max_size=5), labels)
def test_is_allowed_host_wildcards_agree_with_regular_expressions(parts: list[str], name: str) -> None:
    rule = "*".join(parts)
    expected = re.fullmatch("[^/]*".join(map(re.escape, parts)), name) is not None
    assert is_allowed_host(Host(name, None), [rule]) is expected


@given(st.text(), st.sampled_from(["same", ["https://*.example.com", "same"]]))
def test_is_allowed_origin_any_text_has_an_answer(text: str, rules: str | list[str]) -> None:
    assert is_allowed_origin(text, rules, HERE, secure=False) in (True, False)
    assert not is_allowed_origin("https://" + text + ".evil.com", rules, HERE, secure=False)
