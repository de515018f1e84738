"""
Servers that are none, to a client of each kind: what the error says, and what the server is told.

That it comes in time, and what it costs, is in ``tests/promises/test_p31_*.py``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clients import KINDS, Session, make_client, open_client
from tests.core.wire import BINARY, CLOSE, PING, TEXT, build_frame
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from ws4py_middleware.client.answers import MAX_BODY
from ws4py_middleware.exc import ConnectionClosed, HandshakeError


@pytest.fixture(autouse=True)
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What servers do is nobody's error here: nothing of it is logged with a traceback."""
    with no_leaks():
        yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refused(kind: str, script: Callable[[Visit], object], **options: object) -> HandshakeError:
    """Connect to a server of which nothing good comes, and return the error."""
    with scripted(script) as server, make_client(kind, server.url, **options) as session:
        with pytest.raises(HandshakeError) as caught:
            session.connect()
        assert not session.client.is_open
        assert session.client.connection is None
    return caught.value


def answering(*pieces: bytes) -> Callable[[Visit], None]:
    def script(visit: Visit) -> None:
        visit.read_request()
        for piece in pieces:
            visit.send(piece)

    return script


HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


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
def test_a_refusal_has_the_servers_status_headers_and_body(kind: str, answer: bytes, body: bytes) -> None:
    error = refused(kind, answering(answer))
    assert error.status == 200
    assert error.body == body
    assert "not with 101" in str(error)


def test_a_challenge_can_be_followed(kind: str) -> None:
    error = refused(
        kind, answering(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
    )
    assert (error.status, error.headers[0]) == (401, ("WWW-Authenticate", "Basic"))
    assert str(error) == "the server answered with 401 Unauthorized, not with 101 Switching Protocols"


def half_a_body(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nhalf")
    visit.wait_end()


def test_a_body_that_does_not_come_costs_two_seconds_at_most() -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(len(KINDS)) as pool:  # at the same time
        errors = list(pool.map(lambda kind: refused(kind, half_a_body), KINDS))
    assert {error.body for error in errors} == {b"half"}
    assert time.monotonic() - began < 5


def test_a_body_that_does_not_come_costs_no_more_than_open_timeout(kind: str) -> None:
    began = time.monotonic()
    assert refused(kind, half_a_body, open_timeout=0.2).body == b"half"
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
def test_what_is_no_answer_is_a_handshakeerror(kind: str, answer: bytes, match: str) -> None:
    assert match in str(refused(kind, answering(answer)))


def test_interim_answers_are_passed_over(kind: str) -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        visit.send(visit.build_101() + text("hello"))
        visit.answer_close()

    with scripted(script) as server, open_client(kind, server.url) as session:
        assert str(session.receive(5)) == "hello"


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
def test_a_server_that_breaks_the_rules_is_told_so(kind: str, frames: bytes, code: int) -> None:
    said = []

    def script(visit: Visit) -> None:
        visit.accept(frames)
        said.append(visit.read_frame())

    with scripted(script) as server, open_client(kind, server.url) as session:
        assert session.receive(5) is None
        assert session.code == code
    assert (said[0][0], said[0][1][:2]) == (CLOSE, code.to_bytes(2, "big"))


def test_a_server_that_never_answers_the_close_frame_is_left_after_close_timeout(kind: str) -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.wait_end()

    with scripted(script) as server, open_client(kind, server.url, close_timeout=0.2) as session:
        session.close()
        began = time.monotonic()
        assert session.receive() is None
        assert time.monotonic() - began < 2
        assert session.code == 1006
        assert session.reason == "the closing handshake did not end within 0.2 s"
        session.connect()
        began = time.monotonic()
        session.leave()
        assert time.monotonic() - began < 2


def flood(session: Session) -> None:
    while True:
        session.send(b"x" * 1_000_000, binary=True)


def test_a_server_that_reads_nothing_is_left_after_write_timeout(kind: str) -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        done.wait(10)

    done = threading.Event()
    with (
        scripted(script) as server,
        open_client(kind, server.url, write_timeout=0.3, ping_interval=None) as session,
    ):
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as caught:
            flood(session)
        assert caught.value.reason == "the peer took no bytes within 0.3 s"
        assert time.monotonic() - began < 10
        done.set()
