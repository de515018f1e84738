"""Servers that are none: a clear error within the time, no other exception, no descriptor left (P31)."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.core.wire import BINARY, CLOSE, PING, TEXT, build_frame
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from tests.servers import client_context, server_context
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.answers import MAX_BODY
from ws4py_middleware.exc import ConnectionClosed, HandshakeError


@pytest.fixture(autouse=True)
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What servers do is nobody's error here: nothing of it is logged with a traceback."""
    with no_leaks():
        yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


def refused(script: Callable[[Visit], object], **options: object) -> HandshakeError:
    """Connect to a server of which nothing good comes, and return the error."""
    with scripted(script) as server:
        client = WebSocketBaseClient(server.url, **options)  # type: ignore[arg-type]
        with pytest.raises(HandshakeError) as caught:
            client.connect()
        assert not client.is_open
        assert client.sock is None
    return caught.value


def answering(*pieces: bytes) -> Callable[[Visit], None]:
    def script(visit: Visit) -> None:
        visit.read_request()
        for piece in pieces:
            visit.send(piece)

    return script


HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (HEAD + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "Sec-WebSocket-Accept is"),
        (HEAD + b"\r\n", "Sec-WebSocket-Accept is ''"),
        (HEAD.replace(b"Upgrade: websocket\r\n", b"") + b"\r\n", "another protocol than websocket"),
        (HEAD.replace(b"websocket", b"h2c") + b"\r\n", "another protocol than websocket"),
        (HEAD.replace(b"Connection: Upgrade\r\n", b"") + b"\r\n", "no Connection: Upgrade"),
        (HEAD + b"Content-Length: 5\r\n\r\nhello", "a 101 cannot have"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "a 101 cannot have"),
        (HEAD.replace(b"1.1", b"1.0") + b"\r\n", "HTTP/1.0"),
    ],
)
def test_a_101_that_opens_no_websocket_is_a_handshakeerror(answer: bytes, match: str) -> None:
    error = refused(answering(answer))
    assert error.status == 101
    assert match in str(error)


@pytest.mark.parametrize(
    "line",
    [
        "Sec-WebSocket-Protocol: other",
        "Sec-WebSocket-Protocol: chat, chat",
        "Sec-WebSocket-Extensions: permessage-deflate",
    ],
)
def test_what_was_not_offered_is_refused(line: str) -> None:
    def script(visit: Visit) -> None:
        visit.accept(b"", line)
        visit.wait_end()

    assert refused(script, protocols=["chat"]).status == 101


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200\r\nX-A: 1\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n there\r\n0\r\n\r\n",
            b"hello there",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\nx", b"x"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + b"x" * 100_000,
            b"x" * MAX_BODY,
        ),
    ],
)
def test_a_refusal_has_the_servers_status_headers_and_body(answer: bytes, body: bytes) -> None:
    error = refused(answering(answer))
    assert error.status == 200
    assert error.body == body
    assert "not with 101" in str(error)


def test_a_challenge_can_be_followed() -> None:
    error = refused(
        answering(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
    )
    assert (error.status, error.headers[0]) == (401, ("WWW-Authenticate", "Basic"))
    assert str(error) == "the server answered with 401 Unauthorized, not with 101 Switching Protocols"


def test_a_body_that_does_not_come_costs_two_seconds_at_most() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nhalf")
        visit.wait_end()

    began = time.monotonic()
    assert refused(script).body == b"half"
    assert time.monotonic() - began < 5
    began = time.monotonic()
    assert refused(script, open_timeout=0.2).body == b"half"
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 101 Switching", "behind 22 bytes of its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no status line of HTTP/1"),
        (b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n", "no status line of HTTP/1"),
        (b"HTTP/1.1 1O1 Switching\r\n\r\n", "no status line"),
        (b"HTTP/1.1 101\r\nno colon\r\n\r\n", "no header"),
        (b"HTTP/1.1 101\r\nA: b\r\n folded\r\n\r\n", "continues the one before"),
        (b"HTTP/1.1 101\r\nA : b\r\n\r\n", "no header"),
        (b"HTTP/1.1 101\r\nA: b\0c\r\n\r\n", "no header"),
        (b"HTTP/1.1 101\r\nA: b\nB: c\r\n\r\n", "bare LF"),
        (b"HTTP/1.1 101\r\n" + b"A: b\r\n" * 200 + b"\r\n", "more than 100 headers"),
        (b"HTTP/1.1 101\r\nA: " + b"b" * 9000 + b"\r\n\r\n", "longer than 8192"),
    ],
)
def test_what_is_no_answer_is_a_handshakeerror(answer: bytes, match: str) -> None:
    assert match in str(refused(answering(answer)))


def test_endless_answers_end_with_the_limit_and_cost_little_memory() -> None:
    def endless_headers(visit: Visit) -> None:
        visit.read_request()
        visit.send(HEAD)
        with contextlib.suppress(ConnectionError):
            while True:
                visit.send(b"X-Header: value of the header\r\n" * 100)

    def endless_line(visit: Visit) -> None:
        visit.read_request()
        with contextlib.suppress(ConnectionError):
            while True:
                visit.send(b"x" * 10_000)

    def endless_interim(visit: Visit) -> None:
        visit.read_request()
        with contextlib.suppress(ConnectionError):
            while True:
                visit.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)

    tracemalloc.start()
    try:
        for script in (endless_headers, endless_line, endless_interim):
            refused(script)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_interim_answers_are_passed_over() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        visit.send(visit.build_101() + text("hello"))
        visit.answer_close()

    with scripted(script) as server, WebSocketBaseClient(server.url) as client:
        assert str(client.receive(5)) == "hello"


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_says_nothing_is_a_timeouterror_that_names_the_step(tls: bool) -> None:
    with scripted(Visit.wait_end) as server:
        url = server.url.replace("ws://127.0.0.1", "wss://localhost") if tls else server.url
        client = WebSocketBaseClient(url, open_timeout=0.2)
        began = time.monotonic()
        step = "the TLS handshake with localhost" if tls else "the opening handshake"
        with pytest.raises(TimeoutError, match=rf"{step} was not done within 0\.2 s \(open_timeout\)"):
            client.connect()
        assert time.monotonic() - began < 2


def test_a_byte_now_and_then_does_not_stretch_the_time() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        with contextlib.suppress(ConnectionError):
            for byte in HEAD:
                visit.send(bytes([byte]))
                time.sleep(0.02)

    with scripted(script) as server:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="opening handshake"):
            WebSocketBaseClient(server.url, open_timeout=0.3).connect()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("reset", [False, True])
def test_a_server_that_hangs_up_at_once_is_a_handshakeerror(reset: bool) -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        if reset:
            visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert refused(script).status == 0


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_cut_at_every_byte_is_a_handshakeerror_or_a_close_with_1006(tls: bool, reset: bool) -> None:
    """The handshake and the first frame, one byte more with each connection."""
    position = -1
    whole = b""

    def script(visit: Visit) -> None:
        nonlocal position, whole
        visit.read_request()
        whole = visit.build_101() + text("hello")
        position += 1
        if reset:
            visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        visit.send(whole[:position])

    ends = []
    with scripted(script, tls=server_context() if tls else None) as server:
        client = WebSocketBaseClient(server.url, ssl_options=client_context(), open_timeout=5)
        while not whole or position < len(whole):
            try:
                client.connect()
            except HandshakeError as error:
                ends.append(str(error.status))
                continue
            message = client.receive(5)
            ends.append("" if message is None else str(message))
            assert message is None or client.receive(5) is None
            assert client._link is not None
            assert client._link.conn.close_code == 1006
            with pytest.raises(ConnectionClosed):
                client.send("x")
    head = whole.index(b"\r\n\r\n") + 4
    if reset:
        # A reset takes away what was not read yet; so any position may look as if it were cut before.
        assert set(ends) <= {"0", "", "hello"}
    else:
        assert ends == ["0"] * head + [""] * (len(whole) - head) + ["hello"]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (build_frame(TEXT, b"masked", key=b"1234"), 1002),
        (build_frame(TEXT, b"\xff"), 1007),
        (build_frame(PING, b"x" * 126), 1002),
        (build_frame(BINARY, b"x", rsv=4), 1002),
        (b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00", 1009),
    ],
)
def test_a_server_that_breaks_the_rules_is_told_so(frames: bytes, code: int) -> None:
    said = []

    def script(visit: Visit) -> None:
        visit.accept(frames)
        said.append(visit.read_frame())

    with scripted(script) as server:
        client = WebSocketBaseClient(server.url)
        client.connect()
        assert client.receive(5) is None
    assert (said[0][0], said[0][1][:2]) == (CLOSE, code.to_bytes(2, "big"))


def test_a_server_that_never_answers_the_close_frame_is_left_after_close_timeout() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.wait_end()

    with scripted(script) as server:
        client = WebSocketBaseClient(server.url, close_timeout=0.2)
        client.connect()
        client.close()
        began = time.monotonic()
        assert client.receive() is None
        assert time.monotonic() - began < 2
        assert client._link is not None
        assert client._link.conn.close_reason == "the closing handshake did not end within 0.2 s"
        began = time.monotonic()
        with client:
            client.connect()
        assert time.monotonic() - began < 2


def flood(client: WebSocketBaseClient) -> None:
    while True:
        client.send(b"x" * 1_000_000, binary=True)


def test_a_server_that_reads_nothing_is_left_after_write_timeout() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        done.wait(10)

    done = threading.Event()
    with scripted(script) as server:
        client = WebSocketBaseClient(server.url, write_timeout=0.3, ping_interval=None)
        client.connect()
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as caught:
            flood(client)
        assert caught.value.reason == "the peer took no bytes within 0.3 s"
        assert time.monotonic() - began < 10
        done.set()
