"""The middleware on real servers: what goes over the wire when an upgrade is refused, and when not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.entrances.wire import ACCEPT, Answer, ask, build, read_head
from tests.servers import KINDS, Server, start

HIDDEN = b"GET /members HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request.param, "tests.entrances.refusing_app:app") as server:
        yield server
        assert "Traceback" not in server.log
        assert "AssertionError" not in server.log


def refuse(server: Server, request: bytes, status: int) -> Answer:
    """Check that there is one answer, and then the end of the connection: ask() returns only then."""
    answer = ask(server.connect(timeout=5), request)
    assert answer.status == status
    assert b"HTTP/1." not in answer.rest, "a second response"
    assert "close" in (answer.get("Connection") or "").lower()
    return answer


def test_valid_handshake_is_a_websocket(server: Server) -> None:
    with contextlib.closing(server.connect()) as sock:
        sock.sendall(build("/echo"))
        answer = read_head(sock)
        assert answer.status == 101
        assert answer.headers == [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", ACCEPT),
        ]
    with connect(server.ws_url + "/echo") as client:
        client.send("hello")
        assert client.recv(timeout=5) == "hello"
    assert server.http("/").body == b"home"


def test_wrong_version_is_426_and_says_which(server: Server) -> None:
    answer = refuse(server, build("/echo", {"Sec-WebSocket-Version": "8"}), 426)
    assert answer.get("Upgrade") == "websocket"
    assert answer.get("Sec-WebSocket-Version") == "13"
    assert b"version 8 of the protocol is not spoken here" in answer.rest


def test_plain_get_is_426_where_the_application_has_nothing(server: Server) -> None:
    response = server.http("/echo")
    assert response.status == 426
    assert response.headers["Upgrade"] == "websocket"
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert response.body == b"this is a WebSocket; it is asked for with the header Upgrade: websocket\n"


@pytest.mark.parametrize("path", ["/echo", "/no", "/members"])
def test_body_of_a_refused_upgrade_is_never_a_request(server: Server, path: str) -> None:
    bad = {"Content-Length": str(len(HIDDEN))}
    refuse(server, build(path, bad) + HIDDEN, 401 if path == "/members" else 400)


@pytest.mark.parametrize(
    ("path", "status"), [("/no", 403), ("/login-first", 302), ("/members", 401), ("/nothing", 404)]
)
def test_what_follows_a_refused_upgrade_is_never_a_request(server: Server, path: str, status: int) -> None:
    refuse(server, build(path) + HIDDEN, status)


def test_rejection_is_the_response_with_its_headers_and_body(server: Server) -> None:
    answer = refuse(server, build("/login-first"), 302)
    assert (answer.get("Location") or "").endswith("/login")
    assert answer.get("Set-Cookie") == "next=/ws"
    assert answer.rest == b"please log in"


def test_head_has_no_body(server: Server) -> None:
    answer = refuse(server, build("/echo", method="HEAD"), 405)
    assert answer.get("Allow") == "GET"
    assert answer.rest == b""
