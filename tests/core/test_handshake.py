"""core.handshake: what the server accepts, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.core.handshakes import ACCEPT, INJECTIONS, KEY, request
from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.handshake import (
    Request,
    Upgrade,
    accept_key,
    accept_request,
    build_key,
    is_upgrade,
)
from ws4py_middleware.core.policy import Policy

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


@pytest.mark.parametrize("header", INJECTIONS)
def test_accept_request_headers_that_may_not_be_sent_are_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        accept_request(request(), Policy(), headers=[header])


def test_build_response_injected_headers_are_refused() -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Upgrade([("X-A", "b\r\nX-B: c")]).build_response()
