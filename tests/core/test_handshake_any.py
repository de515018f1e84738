"""core.handshake: both sides against each other, and against anything at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.core.handshakes import ANSWER, HEADERS, KEY, Headers, changed, refuse, request
from ws4py_middleware.core.handshake import (
    Request,
    accept_request,
    build_key,
    build_request,
    check_response,
    is_upgrade,
)
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.exc import HandshakeError

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
