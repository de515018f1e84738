"""The CherryPy tool on CherryPy's own server, plain and over TLS, and under gunicorn: what a client sees."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import websocket  # websocket-client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.entrances.wire import ACCEPT, Answer, ask, build, read_head
from tests.matrix.columns import connect as connect_raw
from tests.promises.wire import TEXT, close_frame, frame
from tests.servers import Server, start, wait_for

SERVERS = [
    ("cherrypy", False),
    ("cherrypy", True),
    ("cherrypy-pyopenssl", True),
    ("cherrypy-native", False),
    ("gunicorn-gthread", False),
    ("gunicorn-gevent", True),
]

#: The request, the status, and what the answer says of it.
BAD: dict[str, tuple[dict[str, str | None], int, bytes]] = {
    "no-key": ({"Sec-WebSocket-Key": None}, 400, b"Sec-WebSocket-Key"),
    "version": ({"Sec-WebSocket-Version": "8"}, 426, b"version 13"),
    "no-connection": ({"Connection": "keep-alive"}, 400, b"Connection: Upgrade"),
    "another-protocol": ({"Upgrade": "h2c"}, 426, b"Upgrade: websocket"),
    "plain-get": ({"Upgrade": None, "Connection": None}, 426, b"Upgrade: websocket"),
    "origin": ({"Origin": "https://evil.example"}, 403, b"may not connect"),
}


@pytest.fixture(scope="module", params=SERVERS, ids=lambda each: f"{each[0]}-{'wss' if each[1] else 'ws'}")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind, tls = request.param
    directory = tmp_path_factory.mktemp(kind)
    env = {"PLUGIN": "default"} if kind.startswith("gunicorn") else {}
    with start(kind, "tests.entrances.cherrypy_app:app", tls=tls, env=env, directory=directory) as server:
        yield server
        log = server.log
    # The pages that raise something say so.
    log = log.replace("ZeroDivisionError: on purpose", "").replace("RuntimeError: the WebSocket", "")
    assert "Error:" not in log, log


def open_ws(server: Server, path: str, **options: Any) -> ClientConnection:
    client: ClientConnection = connect(server.ws_url + path, ssl=server.client_context, proxy=None, **options)
    return client


def refusal(server: Server, path: str, changes: dict[str, str | None] | None = None) -> Answer:
    """Ask for an upgrade with a frame and a request behind it, and read to the end of the connection."""
    behind = frame(TEXT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", key=bytes(4))
    plain = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return ask(server.connect(), build(path, changes) + behind + plain)


def test_every_message_is_answered_before_the_next_is_sent(server: Server) -> None:
    with open_ws(server, "/decorated", compression=None) as ws:
        for number in range(20):
            ws.send(f"message {number}")
            assert ws.recv(timeout=5) == f"message {number}"
    again = websocket.create_connection(
        f"{server.ws_url}/decorated",
        timeout=5,
        sslopt={"context": server.client_context} if server.tls else None,
    )
    with contextlib.closing(again):
        for size in (0, 125, 126, 1000):
            again.send_binary(b"x" * size)
            assert again.recv() == b"x" * size


def test_frames_in_the_segment_of_the_request_are_answered(server: Server) -> None:
    early = frame(TEXT, b"one") + frame(TEXT, b"\r\n\r\n") + frame(TEXT, b"three")
    with connect_raw(server, "/decorated", early=early) as peer:
        assert [peer.read_frame().payload for _ in range(3)] == [b"one", b"\r\n\r\n", b"three"]
        peer.send(close_frame(1000))
        peer.expect_close(1000)


def test_client_sees_one_101_with_the_headers_of_the_page_and_nothing_else(server: Server) -> None:
    with contextlib.closing(server.connect()) as sock:
        sock.sendall(build("/ws"))
        answer = read_head(sock)
        sock.sendall(close_frame(1000))
        rest = answer.rest
        while chunk := sock.recv(65536):
            rest += chunk
    assert answer.status == 101
    assert answer.get("Sec-WebSocket-Accept") == ACCEPT
    assert (answer.get("Upgrade"), answer.get("Connection")) == ("websocket", "Upgrade")
    assert answer.get("X-Page") == "ws"
    cookies = answer.get("Set-Cookie") or ""
    assert "seen=yes" in cookies
    assert "session_id=" in cookies
    for name in ("Content-Type", "Content-Length", "Transfer-Encoding"):
        assert answer.get(name) is None
    # A text frame, and the answer to the Close frame.
    length = rest[1] if rest[1] < 126 else int.from_bytes(rest[2:4], "big")
    text = rest[2:] if rest[1] < 126 else rest[4:]
    assert rest[0] == 0x81
    assert text[length:] == b"\x88\x02\x03\xe8"


def test_handler_knows_the_settings_of_the_path_and_what_the_page_knows(server: Server) -> None:
    with open_ws(
        server,
        "/ws/lobby?color=blue",
        subprotocols=[Subprotocol("other"), Subprotocol("chat.v1")],
        origin=Origin("https://example.com"),
    ) as ws:
        made = json.loads(ws.recv(timeout=5))
        ws.send("x" * 1000)
        assert ws.recv(timeout=5) == "x" * 1000
        ws.send("y" * (256 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as refused:
            ws.recv(timeout=5)
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 1009
    assert made == {
        "name": "127.0.0.1 127.0.0.1",
        "params": {"room": "lobby", "color": "blue"},
        "path": "/ws/lobby",
        "heartbeat": 3.0,
        "subprotocol": "chat.v1",
        "extensions": 1,
        "size": 256 * 1024,
        "queue": "disconnect",
    }


@pytest.mark.parametrize("case", BAD)
def test_bad_handshake_is_refused_and_ends_the_http_connection(server: Server, case: str) -> None:
    changes, status, reason = BAD[case]
    answer = refusal(server, "/ws", changes)
    assert answer.status == status
    assert answer.rest.count(b"HTTP/1.1") == 0
    assert reason in answer.rest
    if status == 426 and not server.kind.startswith("gunicorn"):
        assert answer.get("Upgrade") == "websocket"
        assert answer.get("Sec-WebSocket-Version") == "13"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/members", 401),
        ("/secret", 401),
        ("/refuse?how=redirect", 303),
        ("/refuse?how=status", 409),
        ("/refuse?how=send", 500),
        ("/refuse?how=crash", 500),
        ("/refuse?how=a&why=b", 404),
        ("/members/nowhere", 404),
        ("/room/lobby?other=1", 404),
    ],
)
def test_what_tools_and_pages_answer_is_the_refusal_and_ends_the_http_connection(
    server: Server, path: str, status: int
) -> None:
    answer = refusal(server, path)
    assert answer.status == status
    assert b"HTTP/1.1 " not in answer.rest
    if not server.kind.startswith("gunicorn"):
        assert answer.get("Connection") == "close"


def test_session_and_login_let_in(server: Server) -> None:
    cookie = server.http("/login").headers["Set-Cookie"].partition(";")[0]
    with open_ws(server, "/members", additional_headers={"Cookie": cookie}) as ws:
        assert json.loads(ws.recv(timeout=5))["name"] == "Ada"
        # The session's lock is free again.
        assert server.http("/login", headers={"Cookie": cookie}).status == 200
    with open_ws(server, "/secret", additional_headers={"Authorization": "Basic YWRhOnNlY3JldA=="}) as ws:
        assert json.loads(ws.recv(timeout=5))["name"] == "ada"


def test_function_has_the_parameters_of_the_page(server: Server) -> None:
    with open_ws(server, "/room/lobby") as ws:
        assert ws.recv(timeout=5) == "lobby"
        ws.send("hello")
        assert ws.recv(timeout=5) == "hello"


def test_upgrade_behind_an_internal_redirect_happens(server: Server) -> None:
    if server.kind == "cherrypy-native":
        # CherryPy itself has no headers left there for the second request.
        with contextlib.closing(server.connect()) as sock:
            sock.sendall(build("/refuse?how=inside"))
            assert read_head(sock).status == 400
        return
    with open_ws(server, "/refuse?how=inside") as ws:
        assert json.loads(ws.recv(timeout=5))["params"] == {"room": "inside"}


def test_body_of_the_page_is_not_sent(server: Server) -> None:
    with open_ws(server, "/refuse?how=ok") as ws:
        ws.send("hello")
        assert ws.recv(timeout=5) == "hello"


def test_broadcast_from_a_page_reaches_all(server: Server) -> None:
    with open_ws(server, "/decorated") as one, open_ws(server, "/room/x") as two:
        assert two.recv(timeout=5) == "x"
        one.send("there")
        assert one.recv(timeout=5) == "there"
        assert server.http("/shout?text=hey").body == b"done"
        for ws in (one, two):
            assert ws.recv(timeout=5) == "hey"
            assert ws.recv(timeout=5) == b"\x01"
        told = json.loads(server.http("/told").body)
    assert {name for name, _ in told[-2:]} == {"EchoWebSocket", "echo"}
    assert told[-1][1][0] == "127.0.0.1"


def test_one_too_many_is_refused_with_503(server: Server) -> None:
    # Those of the tests before may be about to end.
    opened: list[ClientConnection] = []

    def has_opened() -> bool:
        with contextlib.suppress(InvalidStatus):
            opened.append(open_ws(server, "/full"))
        return bool(opened)

    wait_for(has_opened)
    with opened[0] as first:
        # The 101 comes a moment before it counts.
        first.send("here")
        assert first.recv(timeout=5) == "here"
        answer = refusal(server, "/full")
        assert answer.status == 503
        assert answer.get("Retry-After") == "5"
