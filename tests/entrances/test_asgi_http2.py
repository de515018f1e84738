"""WebSockets in streams of HTTP/2, RFC 8441, which is another handshake: hypercorn, and h2 as the client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.core.wire import CLOSE, KEY, TEXT, build_close, build_frame, read_frames
from tests.entrances.asgi import APP, get_json, wait_for_event
from tests.matrix.http2 import Http2Socket
from tests.servers import Server, start, wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("hypercorn", APP, tls=True) as running:
        yield running
        assert "Traceback" not in running.log


def ask(sock: Http2Socket, text: bytes) -> bytes:
    sock.sendall(build_frame(TEXT, text, key=KEY))
    ((_, payload),) = read_frames(read(sock))
    return payload


def read(sock: Http2Socket) -> bytes:
    """Read one frame, which hypercorn sends in one piece or more."""
    data = sock.recv(65536)
    while True:
        try:
            list(read_frames(data))
        except (AssertionError, IndexError):
            data += sock.recv(65536)
        else:
            return data


def test_handler_finds_what_it_knows_from_http1(server: Server) -> None:
    sock = Http2Socket(server, "/facts/room?x=1")
    assert sock.status == 200
    found = json.loads(ask(sock, b"?"))
    assert found["params"] == {"room": "room"}
    assert found["environ"]["QUERY_STRING"] == "x=1"
    assert found["environ"]["SERVER_PROTOCOL"] == "HTTP/2"
    assert found["environ"]["wsgi.url_scheme"] == "https"
    assert found["environ"]["HTTP_HOST"] == "localhost"
    sock.close()


def test_echo_and_a_clean_close(server: Server) -> None:
    sock = Http2Socket(server, "/async?h2")
    assert ask(sock, b"x" * 40_000) == b"x" * 40_000
    sock.sendall(build_close(1000, key=KEY))
    assert [first & 0xF for first, _ in read_frames(read(sock))] == [CLOSE]
    sock.close()
    assert wait_for_event(server, "closed h2").startswith("closed h2 ")


def test_refusal_is_a_response(server: Server) -> None:
    sock = Http2Socket(server, "/may/text")
    assert sock.status == 401
    sock.close()


def test_stream_that_is_cut_is_told(server: Server) -> None:
    Http2Socket(server, "/echo?cut").close()
    wait_for_event(server, "closed cut")
    wait_for(lambda: get_json(server, "/state")["live"] == 0)
