"""core.http11: heads of requests and responses, whole, byte by byte, and with every limit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.core.handshake import Request
from ws4py_middleware.core.http11 import RequestHead, Response, ResponseHead
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import HandshakeError

# RFC 9112 section 2.1, with bytes behind it.
REQUEST = (
    b"GET /hello.txt?x=1 HTTP/1.1\r\n"
    b"User-Agent: curl/7.64.1\r\n"
    b"Host:www.example.com\r\n"
    b"X-Empty:\r\n"
    b"x-dash: \t  a\tb \xe9 \t\r\n"
    b"\r\n"
)
PARSED = Request(
    "GET",
    "/hello.txt?x=1",
    "HTTP/1.1",
    [("User-Agent", "curl/7.64.1"), ("Host", "www.example.com"), ("X-Empty", ""), ("x-dash", "a\tb \xe9")],
)
RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

Outcome = Request | Response | int | None


def read(head: RequestHead | ResponseHead, pieces: Iterable[bytes]) -> tuple[Outcome, bytes]:
    """Feed all pieces; what is left when the head is complete goes behind it."""
    remaining = iter(pieces)
    for piece in remaining:
        try:
            found = head.feed(piece)
        except HandshakeError as error:
            return error.status, b""
        if found is not None:
            return found, head.rest + b"".join(remaining)
    return None, b""


def each_byte(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def refuse(data: bytes, policy: Policy | None = None) -> HandshakeError:
    """Give a request that is refused, whole and byte by byte; the same error comes again."""
    head = RequestHead(policy or Policy())
    with pytest.raises(HandshakeError) as caught:
        head.feed(data)
    with pytest.raises(HandshakeError) as again:
        head.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert again.value is caught.value
    assert not head.is_complete
    assert ("Connection", "close") in caught.value.headers
    assert caught.value.msg.isascii()
    assert caught.value.msg.isprintable()
    assert read(RequestHead(policy or Policy()), each_byte(data)) == (caught.value.status, b"")
    return caught.value


# --- what is taken -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [b"", b"\x81\x82", b"\r\n\r\n"])
def test_request_whole_or_byte_by_byte_is_the_same(rest: bytes) -> None:
    assert read(RequestHead(Policy()), [REQUEST + rest]) == (PARSED, rest)
    assert read(RequestHead(Policy()), each_byte(REQUEST + rest)) == (PARSED, rest)


@given(cuts=st.lists(st.integers(0, len(REQUEST) + 5)), kind=st.sampled_from([bytes, bytearray]))
def test_request_any_split_is_the_same(cuts: list[int], kind: type[bytes]) -> None:
    data = REQUEST + b"\x81\x00\n\r\n"
    edges = [0, *sorted(cuts), len(data)]
    pieces = [kind(data[start:end]) for start, end in itertools.pairwise(edges)]
    assert read(RequestHead(Policy()), pieces) == (PARSED, b"\x81\x00\n\r\n")


@given(
    data=st.one_of(
        st.binary(max_size=80),
        st.lists(
            st.sampled_from(
                [b"GET / HTTP/1.1", b"\r\n", b"\n", b"\r", b"A: b", b" ", b"\0", b"x" * 30, b":"]
            ),
            max_size=12,
        ).map(b"".join),
    ),
    cuts=st.lists(st.integers(0, 200), max_size=5),
)
def test_request_any_bytes_are_a_head_or_an_error_however_split(data: bytes, cuts: list[int]) -> None:
    policy = Policy(max_headers=2, max_header_line=20, max_head_size=60)
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    whole = read(RequestHead(policy), [data])
    assert read(RequestHead(policy), pieces)[0] == whole[0]
    assert read(RequestHead(policy), each_byte(data)) == whole
    assert read(ResponseHead(policy), each_byte(data)) == read(ResponseHead(policy), [data])


def test_request_through_tls_says_so() -> None:
    request = RequestHead(Policy(), secure=True).feed(b"GET / HTTP/1.0\r\n\r\n")
    assert request == Request("GET", "/", "HTTP/1.0", [], secure=True)


def test_feed_after_the_head_is_the_callers_mistake() -> None:
    head = RequestHead(Policy())
    assert head.feed(b"") is None
    assert head.feed(b"OPTIONS * HTTP/1.1\r\n\r\n") is not None
    assert head.is_complete
    with pytest.raises(RuntimeError, match="complete"):
        head.feed(b"x")


# --- what is not -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /",
        b"GET / ",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / x HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/1",
        b"GET / HTTP/11.1",
        b"GET / HTTP/1.1\rX",
        b"GET /\xc3\xa9 HTTP/1.1",
        b"GET /\0 HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_request_line_that_is_none_is_refused_with_400(line: bytes) -> None:
    assert refuse(line + b"\r\nHost: a\r\n\r\n").status == 400


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.0"])
def test_request_of_another_http_is_refused_with_505(version: bytes) -> None:
    assert refuse(b"PRI * " + version + b"\r\n\r\n").status == 505


@pytest.mark.parametrize(
    "line",
    [
        b"Host : a",
        b" Host: a",
        b"\tfolded",
        b"Host",
        b": a",
        b"Ho st: a",
        b"Host: a\0b",
        b"Host: a\rb",
        b"Host: a\r",
        b"Host: a\x7f",
        b"H\xf6st: a",
        b"Host\0: a",
    ],
)
def test_header_that_is_none_is_refused_with_400(line: bytes) -> None:
    error = refuse(b"GET / HTTP/1.1\r\nA: b\r\n" + line + b"\r\n\r\n")
    assert error.status == 400
    assert "line" in error.msg


@pytest.mark.parametrize("place", [14, 20, 22])
def test_bare_lf_is_refused_with_400(place: int) -> None:
    data = b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    assert data[place : place + 2] == b"\r\n"
    error = refuse(data[:place] + data[place + 1 :])
    assert (error.status, "bare LF" in error.msg) == (400, True)


def test_first_byte_of_another_protocol_is_refused_before_a_line_is_complete() -> None:
    head = RequestHead(Policy())
    with pytest.raises(HandshakeError, match=r"begins with '\\x16'"):
        head.feed(b"\x16")


# --- limits ------------------------------------------------------------------------------------------


def check_limit(policy: Policy, fits: bytes, too_large: bytes) -> str:
    """Check that one is taken and the other refused, also where it has no end."""
    assert isinstance(read(RequestHead(policy), [fits])[0], Request)
    assert isinstance(read(RequestHead(policy), each_byte(fits))[0], Request)
    error = refuse(too_large, policy)
    assert error.status == 431
    return error.msg


def test_limit_of_headers() -> None:
    start = b"GET / HTTP/1.1\r\n"
    message = check_limit(Policy(max_headers=2), start + b"A: b\r\n" * 2 + b"\r\n", start + b"A: b\r\n" * 3)
    assert "more than 2 headers" in message


@pytest.mark.parametrize(
    "start", [b"GET /%s HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nWhat-is-long: %s\r\n\r\n"]
)
def test_limit_of_a_line(start: bytes) -> None:
    size = len(next(line for line in start.split(b"\r\n") if b"%s" in line)) - 2
    policy = Policy(max_header_line=size + 10)
    message = check_limit(policy, start % (b"x" * 10), (start % (b"x" * 11)).rstrip())
    assert f"longer than {size + 10} bytes" in message


def test_limit_of_the_whole() -> None:
    head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    assert "larger than 24 bytes" in check_limit(
        Policy(max_head_size=len(head)), head, b"GET / HTTP/1.1\r\nA: bc\r\n\r\n"
    )
    refuse(b"GET / HTTP/1.1\r\nA: " + b"b" * 7, Policy(max_head_size=25))


def test_line_without_end_is_kept_no_longer_than_the_limit() -> None:
    head = RequestHead(Policy(max_header_line=100))
    assert read(head, [b"x" * 10] * 1000) == (431, b"")
    assert len(head._line) == 0


# --- responses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, "OK"),
        (b"HTTP/1.1 302 ", 302, ""),
        (b"HTTP/1.0 503", 503, ""),
        (b"HTTP/1.1 404 N\xe3o existe", 404, "N\xe3o existe"),
    ],
)
def test_response_of_any_status(line: bytes, status: int, reason: str) -> None:
    data = line + b"\r\nLocation: /\r\n\r\nbody"
    expected = Response(status, [("Location", "/")], reason, line[:8].decode())
    assert read(ResponseHead(Policy()), [data]) == (expected, b"body")
    assert read(ResponseHead(Policy()), each_byte(data)) == (expected, b"body")


def test_interim_response_has_the_next_behind_it() -> None:
    first = ResponseHead(Policy())
    interim = first.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n" + RESPONSE + b"\x81\x00")
    assert interim == Response(103, [], "Early Hints", "HTTP/1.1")
    second = ResponseHead(Policy())
    answer = second.feed(first.rest)
    assert answer == Response(101, [("Upgrade", "websocket")], "Switching Protocols", "HTTP/1.1")
    assert second.rest == b"\x81\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/2.0 200 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 099 OK\r\n",
        b"HTTP/1.1 200OK\r\n",
        b"HTTP/1.1 200 O\0K\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101,
        b"HTTP/1.1 200 " + b"x" * 9000,
    ],
)
def test_response_that_is_none_is_an_error_without_status(data: bytes) -> None:
    for pieces in ([data], each_byte(data)):
        head = ResponseHead(Policy())
        assert read(head, pieces) == (0, b"")
        with pytest.raises(HandshakeError, match="head of the response") as caught:
            head.feed(b"")
        assert caught.value.headers == ()
