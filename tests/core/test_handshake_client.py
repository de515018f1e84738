"""core.handshake: what a client asks, and which answers it takes."""

from __future__ import annotations

import pytest

from tests.core.handshakes import ACCEPT, ANSWER, INJECTIONS, KEY, Headers, changed
from ws4py_middleware.core.handshake import build_request, check_response
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.exc import HandshakeError


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
