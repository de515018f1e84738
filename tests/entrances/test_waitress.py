"""waitress as people start it: what it takes for requests, its settings, and what is refused."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.entrances.wire import ask, build
from tests.matrix.columns import connect
from tests.promises.attacker import Peer
from tests.promises.wire import TEXT, frame
from tests.servers import Server, start

APP = "tests.matrix.wsgi_app:app"
NO_MASK = bytes(4)
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def waitress(*settings: str) -> Iterator[Server]:
    with start("waitress", APP, options=settings) as server:
        yield server
        assert server.http("/").body == b"hello"
        assert "Traceback" not in server.log


def test_frames_that_look_like_a_request_are_501_and_the_end_of_the_connection() -> None:
    early = frame(TEXT, b"one\r\n\r\n", key=NO_MASK) + frame(TEXT, HIDDEN, key=NO_MASK)
    with waitress() as server:
        answer = ask(server.connect(timeout=5), build("/echo") + early)
        assert answer.status == 501
        assert answer.get("Connection") == "close"
        assert b"a client has to wait for the 101 before it sends frames" in answer.rest
        assert b"HTTP/1." not in answer.rest


def test_same_frames_after_the_101_are_messages() -> None:
    with waitress() as server, connect(server, early=frame(TEXT, b"one")) as peer:
        assert peer.read_frame().payload == b"one"
        peer.echo(b"one\r\n\r\n")
        peer.echo(HIDDEN)


@pytest.mark.parametrize(
    ("settings", "status"), [((), 101), (("send_bytes=18000",), 501)], ids=["sent", "collected"]
)
def test_answer_to_the_request_before_is_not_overtaken(settings: tuple[str, ...], status: int) -> None:
    with waitress(*settings) as server, Peer(server.connect()) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + build("/echo"))
        assert peer.read_head() == 200
        while len(peer.data) < len(b"hello"):
            assert peer.fill()
        assert peer.data[:5] == b"hello"
        peer.data = peer.data[5:]
        assert peer.read_head() == status
        if status == 501:
            assert b"the answer to the request before this one" in peer.read_to_end()


def test_lookahead_is_501_and_says_so() -> None:
    with waitress("channel_request_lookahead=1") as server:
        answer = ask(server.connect(timeout=5), build("/echo") + HIDDEN)
        assert answer.status == 501
        assert b"with channel_request_lookahead it reads from it" in answer.rest
        assert b"HTTP/1." not in answer.rest


@pytest.mark.parametrize("changes", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "5"}])
def test_request_with_a_body_is_no_handshake(changes: dict[str, str | None]) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n" if "Transfer-Encoding" in changes else b"hello"
    with waitress() as server:
        assert ask(server.connect(timeout=5), build("/echo", changes) + body).status == 400


@pytest.mark.parametrize("settings", [(), ("asyncore_use_poll=true",)], ids=["select", "poll"])
def test_timeouts_of_its_channels_do_nothing_to_connections(settings: tuple[str, ...]) -> None:
    timeouts = ("channel_timeout=1", "cleanup_interval=1", "asyncore_loop_timeout=1")
    with waitress(*settings, *timeouts) as server, connect(server) as peer:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert server.http("/").body == b"hello"
        peer.echo()
