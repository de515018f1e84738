from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.handshake import (
    Request,
    Upgrade,
    accept_key,
    accept_request,
    build_key,
    build_request,
    check_response,
    is_upgrade,
)
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.exc import HandshakeError

# RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Headers = list[tuple[str, str]]

HEADERS: Headers = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
]


def request(*changes: tuple[str, str | None], **options: Any) -> Request:
    """Return the RFC's request; each change replaces a header, or leaves it out when it is ``None``."""
    names = {name.lower() for name, _ in changes}
    headers = [header for header in HEADERS if header[0].lower() not in names]
    headers += [(name, value) for name, value in changes if value is not None]
    fields = {"method": "GET", "target": "/chat", "http_version": "HTTP/1.1", "headers": headers} | options
    return Request(**fields)


def refuse(request: Request, policy: Policy | None = None) -> HandshakeError:
    """Give a request that has to be refused; check what all refusals have in common."""
    with pytest.raises(HandshakeError) as caught:
        accept_request(request, policy or Policy())
    error = caught.value
    headers = dict(error.headers)
    assert len(headers) == len(error.headers)
    assert 400 <= error.status < 500
    assert "close" in headers["Connection"].split(", ")
    assert error.msg
    assert error.msg.isascii()
    assert error.msg.isprintable()
    if error.status in (400, 426):
        assert headers["Sec-WebSocket-Version"] == "13"
    if error.status == 426:
        assert headers["Upgrade"] == "websocket"
        assert "Upgrade" in headers["Connection"].split(", ")
    return error


# --- what is accepted ------------------------------------------------------------------------------


def test_accept_key_example_of_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT


def test_build_key_sixteen_bytes_as_in_the_rfc() -> None:
    assert build_key(b"the sample nonce") == KEY


@pytest.mark.parametrize("size", [0, 15, 17])
def test_build_key_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="it has 16"):
        build_key(bytes(size))


def test_accept_request_example_of_the_rfc() -> None:
    # Section 1.2, with the origin's host as the server's.
    upgrade = accept_request(
        request(("Origin", "http://server.example.com"), ("Sec-WebSocket-Protocol", "chat, superchat")),
        Policy(subprotocols=["chat"]),
    )
    assert upgrade.build_response() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )
    assert upgrade.subprotocol == "chat"
    assert list(upgrade.extensions) == []
    assert upgrade.extension_header == ""


@pytest.mark.parametrize(
    "changes",
    [
        [("Connection", "keep-alive, Upgrade")],
        [("Connection", "keep-alive"), ("connection", "UPGRADE")],
        [("Connection", " ,upgrade,")],
        [("Upgrade", "WebSocket")],
        [("Upgrade", "h2c, HTTP/2.0, websocket")],
        [("Upgrade", "h2c"), ("UPGRADE", "websocket")],
        [("Content-Length", "0")],
        [("Content-Length", "0"), ("Content-Length", "0")],
        [("HOST", "localhost:8000")],
        [("Host", "[::1]:8000")],
        [("sec-websocket-KEY", f" {KEY}\t")],
        [("Sec-WebSocket-Version", " 13")],
        [("X-Other", "\xff\x00 anything")],
        [("Sec-WebSocket-Extensions", "x-webkit-deflate-frame, foo; bar=1")],
        [("Sec-WebSocket-Protocol", "unknown")],
        [("Origin", "https://server.example.com")],
    ],
)
def test_accept_request_legal_variations_are_accepted(changes: list[tuple[str, str]]) -> None:
    upgrade = accept_request(request(*changes), Policy())
    assert upgrade.headers == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
    ]


def test_request_headers_are_found_in_any_case() -> None:
    asked = request(("X-A", "1"), ("x-a", " 2 "))
    assert asked.get_all("X-a") == ["1", "2"]
    assert asked.get("X-A") == "1"
    assert asked.get("X-B") is None
    assert asked.get("X-B", "0") == "0"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        (["websocket"], True),
        (["h2c, WebSocket"], True),
        (["h2c", "websocket"], True),
        (["notwebsocket"], False),
        (["websocket/13"], False),
        (["\x00 \xff,websocket"], True),
        (["websoc\u212aet"], False),
    ],
)
def test_is_upgrade_only_the_upgrade_header_counts(values: list[str], expected: bool) -> None:
    asked = Request("POST", "/", "HTTP/1.0", [("Upgrade", value) for value in values])
    assert is_upgrade(asked) is expected


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "CONNECT", "get", "", "G\r\nT"])
def test_accept_request_another_method_405(method: str) -> None:
    error = refuse(request(method=method))
    assert error.status == 405
    assert dict(error.headers)["Allow"] == "GET"


@pytest.mark.parametrize(
    "version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/2", "http/1.1", "", "HTTP/1.10"]
)
def test_accept_request_another_http_version_400(version: str) -> None:
    error = refuse(request(http_version=version))
    assert error.status == 400
    assert "HTTP/1.1" in error.msg


def test_accept_request_plain_request_426() -> None:
    assert refuse(request(("Upgrade", None), ("Connection", "keep-alive"))).status == 426
    assert refuse(Request("GET", "/", "HTTP/1.1", [])).status == 426


@pytest.mark.parametrize(
    "value",
    ["notwebsocket", "websocket2", "websockets", "web", "h2c", "websocket/13", "", ","],
)
def test_accept_request_upgrade_to_something_else_426(value: str) -> None:
    assert refuse(request(("Upgrade", value))).status == 426


@pytest.mark.parametrize(
    "changes",
    [
        [("Upgrade", "web socket")],
        [("Upgrade", "websocket;x")],
        [("Upgrade", "websocket\xa0")],
        [("Upgrade", '"websocket"')],
        [("Connection", None)],
        [("Connection", "")],
        [("Connection", "keep-alive")],
        [("Connection", "notupgrade")],
        [("Connection", "upgraded")],
        [("Connection", "keep-alive Upgrade")],
        [("Connection", "Upgrade;x")],
        # A body.
        [("Content-Length", "5")],
        [("Content-Length", "00")],
        [("Content-Length", "+0")],
        [("Content-Length", "-0")],
        [("Content-Length", "")],
        [("Content-Length", "0, 0")],
        [("Content-Length", "0"), ("Content-Length", "5")],
        [("Content-Length", "zero")],
        [("Content-Length", "\xb2")],
        [("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "identity")],
        [("Transfer-Encoding", "")],
        [("Transfer-Encoding", "chunked"), ("Content-Length", "0")],
        # Not exactly one host.
        [("Host", None)],
        [("Host", "")],
        [("Host", "a"), ("Host", "a")],
        [("Host", "a,a")],
        [("Host", "a, b")],
        [("Host", "a/b")],
        [("Host", "user@a")],
        [("Host", "a b")],
        [("Host", "a:b")],
        [("Host", "a:65536")],
        [("Host", "b\xfccher.example")],
        [("Host", "[::1")],
        # Not exactly one version that could be one.
        [("Sec-WebSocket-Version", "")],
        [("Sec-WebSocket-Version", "abc")],
        [("Sec-WebSocket-Version", "13, 13")],
        [("Sec-WebSocket-Version", "13, 8")],
        [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "13")],
        [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")],
        [("Sec-WebSocket-Version", "+13")],
        [("Sec-WebSocket-Version", "013")],
        [("Sec-WebSocket-Version", "13.0")],
        [("Sec-WebSocket-Version", "1 3")],
        [("Sec-WebSocket-Version", "\xb9\xb3")],
        [("Sec-WebSocket-Version", "9" * 5000)],
        # Not exactly one key of 16 bytes.
        [("Sec-WebSocket-Key", None)],
        [("Sec-WebSocket-Key", "")],
        [("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)],
        [("Sec-WebSocket-Key", f"{KEY},{KEY}")],
        [("Sec-WebSocket-Key", f"{KEY}, {KEY}")],
        [("Sec-WebSocket-Key", "not base64 at all!")],
        [("Sec-WebSocket-Key", KEY.rstrip("="))],
        [("Sec-WebSocket-Key", KEY[:-1])],
        [("Sec-WebSocket-Key", KEY + "=")],
        [("Sec-WebSocket-Key", "=" + KEY[:-1])],
        [("Sec-WebSocket-Key", KEY + "\n!")],
        [("Sec-WebSocket-Key", KEY[:10] + "*" + KEY[10:])],
        [("Sec-WebSocket-Key", KEY[:10] + "\n" + KEY[11:])],
        [("Sec-WebSocket-Key", KEY.replace("d", "\xe4"))],
        [("Sec-WebSocket-Key", "\xff" * 24)],
        [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR==")],  # the unused bits are not 0
        [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j_Q==")],  # the alphabet of URLs
        [("Sec-WebSocket-Key", base64.b64encode(bytes(15)).decode())],
        [("Sec-WebSocket-Key", base64.b64encode(bytes(17)).decode())],
        [("Sec-WebSocket-Key", base64.b64encode(bytes(18)).decode())],
        [("Sec-WebSocket-Key", "A" * 8000)],
        # Lists that are none.
        [("Sec-WebSocket-Protocol", "")],
        [("Sec-WebSocket-Protocol", "chat, chat")],
        [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "chat")],
        [("Sec-WebSocket-Protocol", "a b")],
        [("Sec-WebSocket-Protocol", "chat\x00")],
        [("Sec-WebSocket-Extensions", "")],
        [("Sec-WebSocket-Extensions", "foo;")],
        [("Sec-WebSocket-Extensions", "foo; a=\xe9")],
        [("Sec-WebSocket-Extensions", 'foo; a="x')],
        [("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=")],
    ],
)
def test_accept_request_malformed_400(changes: list[tuple[str, str | None]]) -> None:
    for policy in (Policy(), Policy(compression=True, subprotocols=["chat"], origins="*")):
        assert refuse(request(*changes), policy).status == 400


def test_accept_request_both_kinds_of_body_400_before_anything_else_is_read() -> None:
    asked = request(("Transfer-Encoding", "chunked"), ("Content-Length", "5"), ("Host", None))
    assert "body" in refuse(asked).msg


@pytest.mark.parametrize("value", [None, "0", "7", "8", "12", "14", "99", "255"])
def test_accept_request_another_version_426(value: str | None) -> None:
    error = refuse(request(("Sec-WebSocket-Version", value)))
    assert error.status == 426
    assert set(error.headers) == {
        ("Sec-WebSocket-Version", "13"),
        ("Upgrade", "websocket"),
        ("Connection", "close, Upgrade"),
    }


def test_accept_request_a_message_never_echoes_control_characters() -> None:
    error = refuse(request(("Sec-WebSocket-Key", "a\r\nSet-Cookie: a=b\x00\x1b[2J\u2028")))
    assert (
        error.msg == r"Sec-WebSocket-Key is 'a\r\nSet-Cookie: a=b\x00\x1b[2J\u2028'; it is 16 bytes in base64"
    )


# --- whose pages, which hosts ----------------------------------------------------------------------

LOOK_ALIKES = [
    "http://evil-server.example.com",
    "http://evilserver.example.com",
    "http://server.example.com.evil.com",
    "http://server.example.com:1234",
    "http://sub.server.example.com",
    "http://example.com",
    "http://server-example.com",
    "http://server.example.com/",
    "http://server.example.com@evil.com",
    "http://evil.com/http://server.example.com",
    "http://server.example.com http://evil.com",
    "http://server.example.com, http://server.example.com",
    "server.example.com",
    "null",
    "file://",
    "",
    "http://server.ex\xe4mple.com",
    "http://server.example.com\x00",
]


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_accept_request_pages_of_other_origins_403(origin: str) -> None:
    error = refuse(request(("Origin", origin)))
    assert error.status == 403
    accept_request(request(("Origin", origin)), Policy(origins="*"))


def test_accept_request_two_origins_403() -> None:
    same = ("Origin", "http://server.example.com")
    assert refuse(request(same, same)).status == 403


def test_accept_request_a_page_without_tls_for_a_request_with_it_403() -> None:
    origin = ("Origin", "http://server.example.com")
    accept_request(request(origin), Policy())
    assert refuse(request(origin, secure=True)).status == 403
    accept_request(request(("Origin", "https://server.example.com"), secure=True), Policy())


def test_accept_request_origins_of_a_list_and_of_a_callable() -> None:
    asked = request(("Origin", "https://app.example.net"))
    accept_request(asked, Policy(origins=["https://*.example.net"]))
    accept_request(asked, Policy(origins=lambda origin: origin == "https://app.example.net"))
    assert refuse(asked, Policy(origins=["https://other.example.net"])).status == 403
    assert refuse(asked, Policy(origins=lambda origin: False)).status == 403
    accept_request(request(), Policy(origins=[]))  # no browser, no Origin


def test_accept_request_a_host_that_is_not_served_421() -> None:
    policy = Policy(hosts=["*.example.com"])
    accept_request(request(), policy)
    assert refuse(request(("Host", "evil.com")), policy).status == 421


# --- subprotocols ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "offered", "chosen"),
    [
        ([], "a, b", None),
        (["b", "a"], "a, b", "b"),
        (["c"], "a, b", None),
        (["A"], "a", None),
        (["a"], None, None),
    ],
)
def test_accept_request_our_best_subprotocol_is_chosen(
    ours: list[str], offered: str | None, chosen: str | None
) -> None:
    upgrade = accept_request(request(("Sec-WebSocket-Protocol", offered)), Policy(subprotocols=ours))
    assert upgrade.subprotocol == chosen
    assert dict(upgrade.headers).get("Sec-WebSocket-Protocol") == chosen


def test_accept_request_a_callable_chooses_among_the_offered() -> None:
    asked: list[Sequence[str]] = []

    def choose(offered: Sequence[str]) -> str | None:
        asked.append(offered)
        return offered[-1]

    policy = Policy(subprotocols=choose)
    offer = ("Sec-WebSocket-Protocol", "a")
    assert accept_request(request(offer, ("Sec-WebSocket-Protocol", "b")), policy).subprotocol == "b"
    # Nothing is offered, so there is nothing to ask.
    assert accept_request(request(), policy).subprotocol is None
    assert asked == [("a", "b")]
    assert accept_request(request(offer), Policy(subprotocols=lambda offered: None)).subprotocol is None


def test_accept_request_a_callable_that_chooses_what_was_not_offered_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match=r"chose 'c', which is not among those offered: \['a'\]"):
        accept_request(request(("Sec-WebSocket-Protocol", "a")), Policy(subprotocols=lambda offered: "c"))


# --- extensions ------------------------------------------------------------------------------------


def test_accept_request_compression_is_off_until_asked_for() -> None:
    asked = request(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"))
    assert list(accept_request(asked, Policy()).extensions) == []
    upgrade = accept_request(asked, Policy(compression=True))
    assert isinstance(upgrade.extensions[0], Deflate)
    assert upgrade.extension_header == (
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    )
    assert dict(upgrade.headers)["Sec-WebSocket-Extensions"] == upgrade.extension_header


@pytest.mark.parametrize(
    "offer",
    ["unknown", "a; a; a", 'x="1"', 'server_max_window_bits="10"', "server_max_window_bits=99999"],
)
def test_accept_request_an_unacceptable_offer_is_as_none(offer: str) -> None:
    asked = request(("Sec-WebSocket-Extensions", f"permessage-deflate; {offer}"))
    assert list(accept_request(asked, Policy(compression=True)).extensions) == []


# --- what the server sends -------------------------------------------------------------------------


def test_accept_request_further_headers_are_sent_after_ours() -> None:
    cookies = [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")]
    upgrade = accept_request(request(), Policy(), headers=cookies)
    assert upgrade.build_response().endswith(b"\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n")


INJECTIONS = [
    ("X-A", "b\r\nX-B: c"),
    ("X-A", "b\n"),
    ("X-A", "b\x00"),
    ("X-A", "\u20ac"),
    ("X-A\r\n", "b"),
    ("X A", "b"),
    ("", "b"),
    ("Connection", "close"),
    ("upgrade", "h2c"),
    ("Content-Length", "5"),
    ("Transfer-Encoding", "chunked"),
    ("Sec-WebSocket-Accept", ACCEPT),
    ("SEC-WEBSOCKET-PROTOCOL", "chat"),
]


@pytest.mark.parametrize("header", INJECTIONS)
def test_accept_request_headers_that_may_not_be_sent_are_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        accept_request(request(), Policy(), headers=[header])


def test_build_response_injected_headers_are_refused() -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Upgrade([("X-A", "b\r\nX-B: c")]).build_response()


# --- the client's side -----------------------------------------------------------------------------

ANSWER: Headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]


def test_build_request_example_of_the_rfc() -> None:
    policy = Policy(subprotocols=["chat", "superchat"])
    head = build_request("server.example.com", "/chat", policy, KEY, origin="http://example.com")
    assert head == (
        b"GET /chat HTTP/1.1\r\n"
        b"Host: server.example.com\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Origin: http://example.com\r\n"
        b"Sec-WebSocket-Protocol: chat, superchat\r\n"
        b"\r\n"
    )


def test_build_request_compression_and_further_headers() -> None:
    options = DeflateOptions(server_max_window_bits=15, client_max_window_bits=15)
    head = build_request("[::1]:9000", "/", Policy(compression=options), KEY, [("Cookie", "a=b")])
    assert b"\r\nHost: [::1]:9000\r\n" in head
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" in head
    assert head.endswith(b"\r\nCookie: a=b\r\n\r\n")


@pytest.mark.parametrize(
    "target",
    ["", "chat", "/a b", "/a\r\nX: y", "/\x00", "/#x", "/\xe9", "http://a/", "*"],
)
def test_build_request_a_target_that_may_not_be_sent_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="is not an encoded path"):
        build_request("a", target, Policy(), KEY)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nX: y", "a,b", "a/b", "user@a"])
def test_build_request_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not one host"):
        build_request(host, "/", Policy(), KEY)


def test_build_request_other_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="is not 16 bytes in base64"):
        build_request("a", "/", Policy(), "x")
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        build_request("a", "/", Policy(), KEY, origin="http://a\r\nX: y")
    with pytest.raises(TypeError, match="a client offers a list"):
        build_request("a", "/", Policy(subprotocols=lambda offered: None), KEY)


@pytest.mark.parametrize("header", [*INJECTIONS, ("Host", "a"), ("Sec-WebSocket-Key", KEY)])
def test_build_request_headers_that_may_not_be_sent_are_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        build_request("a", "/", Policy(), KEY, [header])


@pytest.mark.parametrize(
    ("policy", "headers", "subprotocol", "extension_header"),
    [
        (Policy(), ANSWER, None, ""),
        (Policy(), [("UPGRADE", "WebSocket"), ("connection", "keep-alive, upgrade"), ANSWER[2]], None, ""),
        (Policy(subprotocols=["a", "b"]), ANSWER, None, ""),
        (Policy(subprotocols=["a", "b"]), [*ANSWER, ("Sec-WebSocket-Protocol", "b")], "b", ""),
        (Policy(compression=True), ANSWER, None, ""),
        (
            Policy(compression=True),
            [*ANSWER, ("Sec-WebSocket-Extensions", "permessage-deflate;server_max_window_bits=10")],
            None,
            "permessage-deflate; server_max_window_bits=10",
        ),
    ],
)
def test_check_response_what_was_offered_is_accepted(
    policy: Policy, headers: Headers, subprotocol: str | None, extension_header: str
) -> None:
    upgrade = check_response(101, headers, KEY, policy)
    assert upgrade.subprotocol == subprotocol
    assert upgrade.extension_header == extension_header
    assert len(upgrade.extensions) == bool(extension_header)
    assert upgrade.headers == headers


def changed(*changes: tuple[str, str | None]) -> Headers:
    names = {name for name, _ in changes}
    headers = [header for header in ANSWER if header[0] not in names]
    return headers + [(name, value) for name, value in changes if value is not None]


OFFER_ALL = Policy(subprotocols=["a", "b"], compression=DeflateOptions(server_no_context_takeover=True))
DEFLATE = "permessage-deflate; server_no_context_takeover; server_max_window_bits=12"


@pytest.mark.parametrize(
    ("policy", "headers", "reason"),
    [
        (Policy(), changed(("Upgrade", None)), "another protocol"),
        (Policy(), changed(("Upgrade", "h2c")), "another protocol"),
        (Policy(), changed(("Upgrade", "notwebsocket")), "another protocol"),
        (Policy(), changed(("Upgrade", "web socket")), "malformed"),
        (Policy(), changed(("Connection", None)), "no Connection"),
        (Policy(), changed(("Connection", "close")), "no Connection"),
        (Policy(), changed(("Connection", "a b")), "malformed"),
        (Policy(), changed(("Sec-WebSocket-Accept", None)), "Accept"),
        (Policy(), changed(("Sec-WebSocket-Accept", "")), "Accept"),
        (Policy(), changed(("Sec-WebSocket-Accept", ACCEPT.lower())), "Accept"),
        (Policy(), changed(("Sec-WebSocket-Accept", KEY)), "Accept"),
        (Policy(), [*ANSWER, ("Sec-WebSocket-Accept", ACCEPT)], "Accept"),
        (Policy(), changed(("Sec-WebSocket-Protocol", "a")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Protocol", "c")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Protocol", "A")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Protocol", "")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Protocol", "a, b")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Protocol", "a\r\n")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a")), "one"),
        (Policy(), changed(("Sec-WebSocket-Extensions", "permessage-deflate")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Extensions", "foo")), "not offered"),
        (OFFER_ALL, changed(("Sec-WebSocket-Extensions", f"{DEFLATE}, {DEFLATE}")), "twice"),
        (OFFER_ALL, changed(("Sec-WebSocket-Extensions", "permessage-deflate")), "is missing"),
        (OFFER_ALL, changed(("Sec-WebSocket-Extensions", f"{DEFLATE}; x")), "no parameter"),
        (OFFER_ALL, changed(("Sec-WebSocket-Extensions", "")), "malformed"),
        (OFFER_ALL, changed(("Sec-WebSocket-Extensions", ";")), "malformed"),
    ],
)
def test_check_response_what_was_not_offered_or_is_wrong_is_refused(
    policy: Policy, headers: Headers, reason: str
) -> None:
    with pytest.raises(HandshakeError, match=reason) as caught:
        check_response(101, headers, KEY, policy)
    assert caught.value.status == 101
    assert caught.value.headers == tuple(headers)
    assert caught.value.msg.isascii()
    assert caught.value.msg.isprintable()


@pytest.mark.parametrize("status", [100, 200, 301, 401, 426, 500])
def test_check_response_another_status_is_handed_on_with_its_headers(status: int) -> None:
    headers = [*ANSWER, ("Location", "ws://elsewhere/")]
    with pytest.raises(HandshakeError, match=str(status)) as caught:
        check_response(status, headers, KEY, Policy())
    assert caught.value.status == status
    assert ("Location", "ws://elsewhere/") in caught.value.headers


# --- both sides, and anything at all ---------------------------------------------------------------

bits = st.integers(9, 15)
options = st.builds(
    DeflateOptions,
    server_max_window_bits=bits,
    client_max_window_bits=bits,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
)
policies = st.builds(
    Policy,
    compression=st.booleans() | options,
    subprotocols=st.lists(st.sampled_from("abc"), unique=True),
)


def parse_head(head: bytes) -> tuple[str, Headers]:
    line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    return line, [(name, value) for name, _, value in (text.partition(": ") for text in lines)]


@given(policies, policies, st.binary(min_size=16, max_size=16))
def test_handshake_our_client_and_our_server_agree(client: Policy, server: Policy, nonce: bytes) -> None:
    key = build_key(nonce)
    line, headers = parse_head(build_request("example.com:8000", "/x?y", client, key))
    method, target, version = line.split(" ")
    accepted = accept_request(Request(method, target, version, headers), server)
    line, headers = parse_head(accepted.build_response())
    assert line == "HTTP/1.1 101 Switching Protocols"
    checked = check_response(101, headers, key, client)
    assert checked.subprotocol == accepted.subprotocol
    assert checked.extension_header == accepted.extension_header
    both = client.compression is not False and server.compression is not False
    assert len(checked.extensions) == len(accepted.extensions) == both
    for sender, receiver in zip(checked.extensions, accepted.extensions, strict=True):
        for one, other in ((sender, receiver), (receiver, sender)):
            for payload in (b"Hello" * 100, bytes(40_000), b"Hello" * 100):
                data = one.encode_message(payload)
                assert data is not None
                assert other.decode_frame(data, True, len(payload)) == payload


names = st.sampled_from([name for name, _ in HEADERS]) | st.sampled_from(
    [
        "Origin",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
        "X",
    ]
)
latin_1 = st.binary().map(lambda data: data.decode("latin-1"))
SPECIAL = [
    KEY,
    "\r\n",
    "\x00",
    "\xff",
    "\t",
    " ",
    "permessage-deflate",
    "server_max_window_bits",
    "client_max_window_bits",
    "client_no_context_takeover",
    "8",
    "15",
    "http://",
    "server.example.com",
    ":",
    "80",
    "[",
    "::1",
    "]",
    "*",
    "websocket",
    "upgrade",
    "13",
    "null",
    "/",
    ";",
    ",",
    "=",
    '"',
    "\\",
]
pieces = st.lists(st.sampled_from(SPECIAL)).map("".join)
values = latin_1 | pieces


@given(
    st.lists(st.tuples(names, values), max_size=4),
    policies,
    st.sampled_from(["same", ["https://*.example.com"]]),
    st.booleans(),
)
def test_accept_request_any_headers_are_accepted_or_refused_with_an_answer(
    changes: list[tuple[str, str | None]], policy: Policy, origins: Any, replace: bool
) -> None:
    asked = request(*changes) if replace else request(headers=[*HEADERS, *changes])
    is_upgrade(asked)
    policy = policy.replace(origins=origins, hosts=["*.example.com", "*"])
    try:
        accepted = accept_request(asked, policy)
    except HandshakeError:
        refuse(asked, policy)
    else:
        assert accepted.build_response().count(b"\r\n\r\n") == 1


@given(latin_1, latin_1, latin_1)
def test_accept_request_any_request_line_is_answered(method: str, target: str, version: str) -> None:
    refuse(request(method=method, target=target, http_version=version))


answer_names = st.sampled_from(
    [name for name, _ in ANSWER] + ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "X"]
)


@given(st.lists(st.tuples(answer_names, values), max_size=4), policies)
def test_check_response_any_headers_are_accepted_or_refused(
    changes: list[tuple[str, str | None]], policy: Policy
) -> None:
    for headers in (changed(*changes), [*ANSWER, *((name, value or "") for name, value in changes)]):
        try:
            check_response(101, headers, KEY, policy)
        except HandshakeError as error:
            message = error.msg
        else:
            message = "accepted"
        assert message.isascii()
        assert message.isprintable()
