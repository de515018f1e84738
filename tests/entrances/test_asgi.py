"""Every ASGI server, with a real client: messages, handlers, refusals, and what is beside WebSockets."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from tests.core.wire import KEY, TEXT, build_frame
from tests.entrances.asgi import APP, KINDS, Facts, client, get_json, wait_for_event
from tests.entrances.wire import build, read_head
from tests.servers import Server, start, wait_for

HANDLERS = ("/echo", "/async", "/function", "/async-function")


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request.param, APP) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def facts(server: Server) -> Facts:
    return KINDS[server.kind]


@pytest.mark.parametrize("path", HANDLERS)
def test_echo_of_every_kind_of_handler(server: Server, facts: Facts, path: str) -> None:
    large = bytes(range(256)) * 20_000
    with client(server, path) as websocket:
        messages: list[str | bytes] = ["text ä€😀", b"\0\xff binary"]
        messages += [large, large.decode("latin-1")] * (path in ("/echo", "/async"))
        for message in messages + [""] * facts.empty:
            websocket.send(message)
            assert websocket.recv(timeout=10) == message


@pytest.mark.parametrize("path", HANDLERS)
def test_messages_keep_their_order(server: Server, path: str) -> None:
    with client(server, path) as websocket:
        texts = [f"number {number}" for number in range(500)]
        sender = threading.Thread(target=lambda: list(map(websocket.send, texts)))
        sender.start()
        assert [websocket.recv(timeout=10) for _ in texts] == texts
        sender.join()


def test_handler_finds_what_it_knows_from_wsgi(server: Server) -> None:
    with client(server, "/facts/a%20b?x=%201", subprotocols=["a", "c"], origin=server.url) as websocket:
        assert websocket.subprotocol == "a"
        websocket.send("?")
        found = json.loads(websocket.recv(timeout=10))
        own_port = websocket.socket.getsockname()[1]
    environ = found["environ"]
    assert found["params"] == {"room": "a b"}
    assert found["subprotocol"] == "a"
    assert found["path"] == environ["PATH_INFO"] == "/facts/a b"
    assert (environ["QUERY_STRING"], environ["SCRIPT_NAME"]) == ("x=%201", "")
    assert environ["HTTP_HOST"] == f"127.0.0.1:{server.port}"
    assert environ["HTTP_ORIGIN"] == server.url
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("127.0.0.1", str(own_port))
    assert found["peer"] == ["127.0.0.1", own_port]
    assert environ["SERVER_PORT"] == str(server.port)
    assert environ["wsgi.url_scheme"] == "http"
    assert not found["in main thread"]


def test_slow_handler_holds_up_its_own_client_only(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(client(server, "/echo"))
        slow = [stack.enter_context(client(server, "/command")) for _ in range(10)]
        began = time.monotonic()
        for websocket in slow:
            for number in (1, 2):
                websocket.send(f"sleep 0.{number}")
        other.send("quick")
        assert other.recv(timeout=10) == "quick"
        assert server.http("/").body == b"hello"
        assert time.monotonic() - began < 0.25
        for websocket in slow:
            assert [websocket.recv(timeout=10) for _ in range(2)] == ["slept 0.1", "slept 0.2"]
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("command", ["thread", "task"])
def test_send_from_anywhere_keeps_its_order(server: Server, command: str) -> None:
    with client(server, "/command") as websocket:
        websocket.send(f"{command} 300")
        assert [websocket.recv(timeout=10) for _ in range(300)] == [f"{number}" for number in range(300)]


def test_fragments_arrive_as_one_message(server: Server) -> None:
    with client(server, "/command") as websocket:
        websocket.send("fragments 10")
        assert websocket.recv(timeout=10) == "0 1 2 3 4 5 6 7 8 9 "


# --- who may connect -----------------------------------------------------------------------------------


def refusal(server: Server, target: str, **options: object) -> Response:
    with pytest.raises(InvalidStatus) as caught, client(server, target, **options):
        pass
    return caught.value.response


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("text", 401, "who are you?"),
        ("starlette", 402, "by starlette"),
        ("werkzeug", 402, "by werkzeug"),
        ("http-exception", 402, "by http-exception"),
        ("abort", 410, "Gone"),
        ("no", 403, "not allowed"),
    ],
)
def test_authorize_refuses_with_a_full_response_where_the_server_can(
    server: Server, facts: Facts, kind: str, status: int, text: str
) -> None:
    response = refusal(server, f"/may/{kind}")
    assert response.status_code == (status if facts.response else 403)
    if facts.response:
        assert text in (response.body or b"").decode()
        if text == f"by {kind}":
            assert response.headers["X-By"] == kind


def test_authorize_lets_in(server: Server) -> None:
    for target in ("/may/yes", "/may-async?let=me"):
        with client(server, target) as websocket:
            websocket.send("in")
            assert websocket.recv(timeout=10) == "in"


def test_authorize_async_refuses(server: Server) -> None:
    assert refusal(server, "/may-async").status_code == 403


def test_foreign_origin_is_refused(server: Server, facts: Facts) -> None:
    response = refusal(server, "/echo", origin="https://evil.example")
    assert response.status_code == 403
    if facts.response:
        assert b"https://evil.example" in (response.body or b"")


# --- what is beside ----------------------------------------------------------------------------------------


def test_everything_else_is_the_applications(server: Server) -> None:
    assert server.http("/").body == b"hello"
    assert server.http("/echo").body == b"hello"
    with client(server, "/elsewhere") as websocket:
        assert websocket.recv(timeout=10) == "inner"
    if server.kind != "daphne":  # it knows no lifespan
        assert get_json(server, "/events")[0] == "lifespan.startup"


def test_nothing_is_left_behind(server: Server) -> None:
    wait_for(lambda: get_json(server, "/state")["live"] == 0)
    before = get_json(server, "/state")
    for path in HANDLERS:
        with client(server, path) as websocket:
            websocket.send("x")
            websocket.recv(timeout=10)
    wait_for(lambda: get_json(server, "/state")["live"] == 0)
    wait_for(lambda: get_json(server, "/state")["others"] <= before["others"], what="threads to end")
    wait_for(lambda: get_json(server, "/state")["tasks"] <= before["tasks"], what="tasks to end")
    assert get_json(server, "/state")["pool"] <= 32


def test_closed_is_called_once_for_each_that_was_opened(server: Server) -> None:
    with client(server, "/echo?once") as websocket:
        wait_for_event(server, "opened once")
        websocket.close()
    assert wait_for_event(server, "closed once").startswith("closed once ")


# The last one: hypercorn does not tell the application that it has refused a connection.
def test_early_frames(server: Server, facts: Facts) -> None:
    with server.connect() as sock:
        sock.sendall(build("/echo") + build_frame(TEXT, b"early", key=KEY))
        answer = read_head(sock)
        assert answer.status == (400 if facts.early == "400" else 101)
        if facts.early == "kept":
            rest = answer.rest
            while len(rest) < 7:
                rest += sock.recv(100)
            assert rest == b"\x81\x05early"
        elif facts.early == "lost":
            # What comes later is there, or the connection is gone; that one is never heard of.
            with contextlib.suppress(ConnectionError):
                sock.sendall(build_frame(TEXT, b"later", key=KEY))
                assert (answer.rest + sock.recv(100)) in (b"\x81\x05later", b"")
