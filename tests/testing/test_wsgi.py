from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.testing import site
from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


@pytest.fixture
def client() -> Iterator[WebSocketTestClient]:
    with WebSocketTestClient(site.wsgi) as client:
        yield client
    site.ENDS.clear()


def test_echo_needs_no_thread_and_no_descriptor(client: WebSocketTestClient) -> None:
    before = set(threading.enumerate())
    with client.connect("/echo") as ws:
        for message in ("text ☃", b"\x00\xff", "x" * 100_000):
            ws.send(message)
            assert ws.receive() == message
        assert set(threading.enumerate()) == before
    assert site.ENDS.pop() == 1000
    assert ws.close_code == 1000


def test_json_text_and_bytes_have_methods_of_their_own(client: WebSocketTestClient) -> None:
    with client.connect("/echo") as ws:
        ws.send_json({"a": [1]})
        assert ws.receive_json() == {"a": [1]}
        ws.send("a")
        ws.send(b"b")
        assert (ws.receive_text(), ws.receive_bytes()) == ("a", b"b")
        ws.send("c")
        ws.send("d")
        assert ws.receive_waiting() == ["c", "d"]
        assert ws.received[1:] == ["a", b"b", "c", "d"]


def test_handler_knows_its_request(client: WebSocketTestClient) -> None:
    client.cookies["site"] = "1"
    client.headers["X-Colour"] = "red"
    ws = client.connect(
        "/facts/blau%20ß?x=1",
        cookies={"mine": "2"},
        origin="http://testserver",
        environ={"REMOTE_USER": "ann"},
    )
    assert ws.receive_json() == {
        "HTTP_COOKIE": "site=1; mine=2",
        "HTTP_X_COLOUR": "red",
        "HTTP_ORIGIN": "http://testserver",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_USER": "ann",
        "wsgi.url_scheme": "http",
        "room": "blau ß",
        "peer": ["127.0.0.1", 50000],
    }


def test_secure_client_seems_to_come_through_tls() -> None:
    with WebSocketTestClient(site.wsgi, secure=True, authority="example.com") as client:
        ws = client.connect("/facts/a", origin="https://example.com", headers=[("X-Colour", "green")])
        facts = ws.receive_json()
    assert (facts["wsgi.url_scheme"], facts["HTTP_X_COLOUR"]) == ("https", "green")


def test_subprotocol_and_compression_are_agreed_on(client: WebSocketTestClient) -> None:
    assert client.connect("/echo", subprotocols=["chat.v1", "chat.v2"]).subprotocol == "chat.v2"
    assert client.connect("/echo", subprotocols=["other"]).subprotocol is None
    squeezing = WebSocketMiddleware(site.page, {"/echo": site.Echo}, compression=True)
    with WebSocketTestClient(squeezing) as other, other.connect("/echo", compression=True) as ws:
        assert any(name == "Sec-WebSocket-Extensions" for name, _ in ws.headers)
        ws.send("x" * 10_000)
        assert ws.receive() == "x" * 10_000


def test_refused_handshake_has_the_answer(client: WebSocketTestClient) -> None:
    with pytest.raises(HandshakeRefused) as refused:
        client.connect("/echo", origin="http://evil.example")
    error = refused.value
    assert error.status == 403
    assert error.response.header("connection") == "close"
    assert "evil.example" in error.text
    assert error.text.encode() == error.body
    assert str(error).startswith("/echo was refused with 403 Forbidden: pages of the origin")


def test_cookies_of_answers_are_kept_for_the_next_request() -> None:
    with WebSocketTestClient(site.members) as client:
        with pytest.raises(HandshakeRefused, match="401 Unauthorized: members only"):
            client.connect("/facts/a")
        login = client.post("/login", {"name": "ann"})
        assert (login.status, login.header("location")) == (303, "/")
        assert client.connect("/facts/a").receive_json()["HTTP_COOKIE"] == "user=ann"
        client.get("/logout")
        assert client.cookies == {}


def test_http_is_asked_as_by_any_client(client: WebSocketTestClient) -> None:
    assert client.get("/x").json() == {"method": "GET", "body": "", "type": None, "cookie": None}
    form = client.post("/x", {"a": "1 2"}).json()
    assert (form["body"], form["type"]) == ("a=1+2", "application/x-www-form-urlencoded")
    sent = client.post("/x", json={"a": 1}, headers={"Cookie": "b=c"}).json()
    assert (sent["body"], sent["type"], sent["cookie"]) == ('{"a": 1}', "application/json", "b=c")
    assert client.request("PUT", "/x", b"abc").json()["method"] == "PUT"
    assert client.get("/echo").status == 200  # the page beside the WebSocket


def test_handler_that_raises_closes_with_1011(
    client: WebSocketTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    ws = client.connect("/broken")
    ws.send("x")
    assert ws.expect_close(1011) == (1011, "internal error")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_application_that_raises_raises_in_the_test() -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise ValueError("boom")

    with WebSocketTestClient(broken) as client:
        with pytest.raises(ValueError, match="boom"):
            client.connect("/")
        with pytest.raises(ValueError, match="boom"):
            client.get("/")


@pytest.mark.parametrize("status", ["101 Switching Protocols", ""])
def test_application_that_does_not_keep_to_wsgi_is_told(status: str) -> None:
    def odd(environ: Any, start_response: Any) -> Any:
        if status:
            start_response(status, [])
        return []

    with (
        WebSocketTestClient(odd) as client,
        pytest.raises(RuntimeError, match=r"WebSocketMiddleware|calling"),
    ):
        client.connect("/")


def test_function_runs_in_a_thread_that_is_waited_for(client: WebSocketTestClient) -> None:
    with client.connect("/shout") as ws:
        ws.send("a")
        ws.send("b")
        assert (ws.receive(), ws.receive()) == ("a!", "b!")
        client.clock.advance(50)
        assert ws.pings
    with client.connect("/work") as ws:
        assert ws.receive() == "from a timer"


def test_manager_that_the_application_has_is_left_alone() -> None:
    manager = WebSocketManager()
    app = WebSocketMiddleware(site.page, {"/echo": site.Echo}, manager=manager)
    with WebSocketTestClient(app) as client, client.connect("/echo") as ws:
        ws.send("hi")
        assert ws.receive() == "hi"
        assert len(manager) == 0
        assert not manager.is_alive()
    site.ENDS.clear()


def test_two_applications_may_share_a_clock() -> None:
    with WebSocketTestClient(site.wsgi) as one, WebSocketTestClient(site.asgi, clock=one.clock) as other:
        a, b = one.connect("/echo"), other.connect("/echo")
        one.clock.advance(100)
        a.expect_close(1000)
        b.expect_close(1000)
    site.ENDS.clear()


def test_shutdown_of_the_process_closes_with_1001(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    client.shutdown()
    ws.expect_close(1001)
    with pytest.raises(HandshakeRefused, match="503 Service Unavailable: this server is about to restart"):
        client.connect("/echo")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WebSocketTestClient(42), "app is 42; it is a WSGI or ASGI application"),
        (lambda: WebSocketTestClient(site.wsgi, interface="cgi"), "interface is 'cgi'; it is wsgi, asgi or"),
        (lambda: WebSocketTestClient(site.wsgi).connect("/echo", scope={}), "has an environ, and no scope"),
        (lambda: WebSocketTestClient(site.wsgi).connect("/echo", headers={"Host": "a"}), "belongs to the"),
    ],
)
def test_what_makes_no_sense_is_told(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_closing_the_client_tells_the_handlers() -> None:
    with WebSocketTestClient(site.wsgi) as client:
        client.connect("/echo")
    client.close()
    assert site.ENDS == [1006]
    site.ENDS.clear()
