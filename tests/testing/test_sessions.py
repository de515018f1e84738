"""What a test is told, and what it can break; in memory, where each is exact."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.testing import site
from ws4py_middleware.core.handshake import Upgrade
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.testing import (
    ConnectionEnded,
    NoMessage,
    RealClock,
    UnexpectedMessage,
    VirtualClock,
    WebSocketSession,
    WebSocketTestClient,
    WrongEnd,
)
from ws4py_middleware.testing.live import SocketWire


@pytest.fixture(params=["wsgi", "asgi"])
def client(request: pytest.FixtureRequest) -> Iterator[WebSocketTestClient]:
    with WebSocketTestClient(getattr(site, request.param), clock=VirtualClock(patience=0.2)) as client:
        yield client
    site.ENDS.clear()


def test_message_that_does_not_come_is_told_with_what_has_come(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    ws.send("hi")
    ws.receive()
    began = client.clock()
    with pytest.raises(NoMessage) as failure:
        ws.receive(timeout=7)
    assert client.clock() - began == pytest.approx(7)
    assert str(failure.value) == (
        "/echo: expected a message within 7 s, and none came; so far:\n→ 'hi'\n← 'hi'"
    )
    assert isinstance(failure.value, AssertionError)
    assert isinstance(failure.value, TimeoutError)


@pytest.mark.parametrize(("app", "path"), [(site.wsgi, "/wait"), (site.asgi, "/wait"), (site.asgi, "/await")])
def test_receive_of_a_function_waits_by_the_clock(app: Any, path: str) -> None:
    # However busy the machine is, the clock waits for the handler's thread, and that one for the clock alone.
    with WebSocketTestClient(app, clock=VirtualClock(patience=60)) as client:
        began = client.clock()
        ws = client.connect(path)
        client.clock.advance(29)
        ws.send("yes")
        assert ws.receive() == "yes!"
        client.clock.advance(29.5)  # from that message on
        assert ws.receive_waiting() == []
        client.clock.advance(0.5)
        assert ws.receive_waiting() == ["are you there?"]
        client.clock.advance(30)
        assert ws.receive_waiting() == ["are you there?"]
        assert client.clock() - began == pytest.approx(29 + 30 + 30)
        ws.send("for a moment")
        assert ws.receive() == "for a moment!"
        client.clock.advance(3600)
        assert ws.receive() == "are you there?"
        ws.expect_close(1000)


def test_end_in_place_of_a_message_is_told_with_its_code(client: WebSocketTestClient) -> None:
    ws = client.connect("/closing")
    assert ws.receive() == "before"
    with pytest.raises(ConnectionEnded) as failure:
        ws.receive()
    assert str(failure.value) == (
        "/closing: expected a message within 5 s, the peer closed with 1008 'policy'; so far:\n"
        "← 'before'\n← close 1008 'policy'"
    )
    assert isinstance(failure.value, AssertionError)
    assert isinstance(failure.value, ConnectionClosed)
    assert (failure.value.code, failure.value.reason) == (1008, "policy")
    assert (ws.close_code, ws.close_reason) == (1008, "policy")
    assert ws.expect_close(1008, "policy") == (1008, "policy")
    with pytest.raises(ConnectionEnded, match="expected to send 'x', the peer closed with 1008"):
        ws.send("x")
    with pytest.raises(ConnectionEnded, match="expected to send a ping"):
        ws.ping()


def test_other_end_than_expected_is_told(client: WebSocketTestClient) -> None:
    ws = client.connect("/closing")
    with pytest.raises(
        WrongEnd, match=r"expected to be closed with 1000, the peer closed with 1008 'policy'"
    ):
        ws.expect_close(1000)
    with pytest.raises(WrongEnd, match=r"expected to be closed with 1008 'other', the peer"):
        ws.expect_close(1008, "other")
    ws = client.connect("/echo")
    with pytest.raises(WrongEnd, match=r"expected to be closed within 3 s, and it is open"):
        ws.expect_close(timeout=3)
    assert ws.close_code is None
    assert ws.close_reason is None


def test_other_message_than_expected_is_told(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    ws.send("x")
    with pytest.raises(UnexpectedMessage, match="expected nothing, and 'x' came"):
        ws.expect_nothing()
    with pytest.raises(UnexpectedMessage, match="expected bytes, and 'x' came"):
        ws.receive_bytes()
    ws.send(b"y")
    with pytest.raises(UnexpectedMessage, match="expected text, and b'y' came"):
        ws.receive_text()
    ws.send("{")
    with pytest.raises(UnexpectedMessage, match=r"expected JSON, and '\{' came: Expecting property name"):
        ws.receive_json()
    ws.expect_nothing(within=10)
    with pytest.raises(ConnectionEnded, match="expected silence for 100 s, the peer closed with 1000"):
        ws.expect_nothing(within=100)


def test_silence_that_is_broken_later_is_told() -> None:
    with WebSocketTestClient(site.asgi) as client:
        ws = client.connect("/late")
        ws.send("x")
        ws.expect_nothing(within=59)
        with pytest.raises(UnexpectedMessage, match="expected nothing within 2 s, and 'late x' came"):
            ws.expect_nothing(within=2)


def test_iteration_ends_with_the_connection(client: WebSocketTestClient) -> None:
    assert list(client.connect("/closing")) == ["before"]


def test_pong_comes_back(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    assert ws.ping(b"x") == 0
    ws.stop_reading()
    with pytest.raises(RuntimeError, match="resume_reading"):
        ws.ping()
    with pytest.raises(RuntimeError, match="resume_reading"):
        ws.receive()


def test_idle_connection_is_closed_by_the_clock(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    client.clock.advance(99)
    was_closed = ws.is_closed
    client.clock.advance(1)
    assert (was_closed, ws.is_closed) == (False, True)
    ws.expect_close(1000, "no message within 100 s")


@pytest.mark.parametrize("break_it", [WebSocketSession.cut, WebSocketSession.reset])
def test_connection_that_breaks_is_told_to_the_handler(
    client: WebSocketTestClient, break_it: Callable[[WebSocketSession], None]
) -> None:
    ws = client.connect("/echo")
    break_it(ws)
    client.clock.run(lambda: bool(site.ENDS), 5)
    assert site.ENDS == [1006]
    assert ws.close_code == 1006
    with pytest.raises(ConnectionEnded, match="expected to send 'x', the connection was"):
        ws.send("x")
    break_it(ws)
    ws.close()


def test_half_a_frame_and_silence_ends_by_the_idle_timeout(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    ws.send_half("x" * 1000)
    with pytest.raises(RuntimeError, match="half a frame was sent"):
        ws.send("more")
    client.clock.advance(200)
    client.clock.run(lambda: bool(site.ENDS), 5)
    assert site.ENDS == [1006] or site.ENDS == [1011]
    assert not ws.received


def test_half_a_frame_is_no_word_more_when_the_block_ends(client: WebSocketTestClient) -> None:
    with client.connect("/echo") as ws:
        ws.send_half(b"\x00" * 10)
    client.clock.run(lambda: bool(site.ENDS), 5)
    assert site.ENDS == [1006]


def test_bytes_that_break_the_rules_are_answered(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    ws.send_raw(b"\xff\xff")
    assert ws.expect_close()[0] == 1002


def test_peer_that_does_not_read_fills_the_queue_until_it_is_dropped(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    with ws.not_reading(window=1000):
        for _ in range(30):
            ws.send("x" * 10_000)
        assert not ws.received
        client.clock.advance(45)
    client.clock.run(lambda: bool(site.ENDS), 5)
    assert ws.expect_close()[0] != 1000
    assert len(ws.received) < 30
    assert site.ENDS == [1006]


def test_peer_that_reads_again_in_time_gets_everything(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    with ws.not_reading():
        for number in range(30):
            ws.send(f"{number} {'x' * 10_000}")
        client.clock.advance(5)
    assert [ws.receive_text().partition(" ")[0] for _ in range(30)] == [str(number) for number in range(30)]
    ws.close()


def test_failure_inside_of_the_block_is_the_one_that_is_told(client: WebSocketTestClient) -> None:
    with pytest.raises(KeyError), client.connect("/echo"):
        raise KeyError
    client.clock.run(lambda: bool(site.ENDS), 5)
    assert site.ENDS == [1006]


def test_repr_tells_the_state(client: WebSocketTestClient) -> None:
    ws = client.connect("/echo")
    assert repr(ws) == "<WebSocketSession /echo open>"
    ws.close(4000, "bye")
    assert repr(ws) == "<WebSocketSession /echo closed with 4000>"
    assert site.ENDS == [4000]


def test_close_that_is_not_answered_is_told() -> None:
    ours, silent = socket.socketpair()
    with silent:
        ws = WebSocketSession(SocketWire(ours), RealClock(), Upgrade([]), Policy(), "/ws", timeout=0.05)
        with pytest.raises(WrongEnd, match=r"/ws: the .* within 0\.05 s; so far:\n→ close 1000 ''"):
            ws.close()
        ws.cut()
