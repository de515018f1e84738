"""core.connection: keepalive, idle peers, and what ends in time."""

from __future__ import annotations

import pytest

from tests.core.connections import (
    POLICY,
    QUIET,
    get_state,
    give,
    give_close,
    is_finished,
    make_server,
    send,
    send_firsts,
    take,
)
from tests.core.wire import KEY, PING, PONG, TEXT, build_frame, read_frames
from ws4py_middleware.core.deadlines import LINGER
from ws4py_middleware.core.events import PongReceived
from ws4py_middleware.core.types import State


def test_keepalive_ping_measures_the_latency() -> None:
    server = make_server()
    assert server.next_deadline() == 20.0
    server.handle_deadline(20.0)
    ((first, payload),) = read_frames(send(server))
    assert first == 0x89
    give(server, PONG, b"else", 20.1)
    give(server, PONG, payload, 20.25)
    assert server.next_event() is not None
    assert server.latency is None
    event = server.next_event()
    assert isinstance(event, PongReceived)
    assert event.latency == server.latency == pytest.approx(0.25)
    assert server.next_deadline() == 40.0
    server.handle_deadline(40.0)
    ((_, second),) = read_frames(send(server))
    assert second != payload


def test_no_pong_in_time_fails_the_connection() -> None:
    server = make_server()
    server.handle_deadline(20.0)
    send(server)
    server.handle_deadline(40.0)
    assert get_state(server) is State.CLOSED
    assert server.close_code == 1011
    assert send_firsts(server, 40.0) == [0x88]
    server.handle_deadline(40.0 + LINGER)
    assert is_finished(server)


def test_keepalive_sends_one_ping_at_a_time() -> None:
    server = make_server(POLICY.replace(ping_timeout=100.0))
    for now in (20.0, 40.0, 60.0):
        server.handle_deadline(now)
    assert send_firsts(server) == [0x89]


def test_keepalive_without_timeout_goes_on_when_a_pong_is_missing() -> None:
    server = make_server(POLICY.replace(ping_timeout=None))
    for now in (20.0, 40.0, 60.0):
        server.handle_deadline(now)
        assert send_firsts(server) == [0x89]


def test_keepalive_without_timeout_does_not_pile_up_pings() -> None:
    server = make_server(POLICY.replace(ping_timeout=None, write_timeout=None))
    for turn in range(1, 1000):
        server.handle_deadline(turn * 20.0)
    assert server.queued < 10


def test_keepalive_ends_with_the_closing_handshake() -> None:
    server = make_server()
    server.close(1000, "", 19.0)
    server.handle_deadline(20.0)
    assert send_firsts(server) == [0x88]


def test_pong_to_a_later_ping_answers_the_keepalive_too() -> None:
    """RFC 6455 section 5.5.3: the peer may answer only the ping that it processed most recently."""
    server = make_server()
    server.handle_deadline(20.0)
    server.ping(b"mine")
    give(server, PONG, b"mine", 21.0)
    event = server.next_event()
    assert isinstance(event, PongReceived)
    assert event.latency is None
    assert server.next_deadline() == 40.0
    server.handle_deadline(40.0)
    assert get_state(server) is State.OPEN
    assert send_firsts(server) == [0x89, 0x89, 0x89]


def test_pong_to_an_earlier_ping_does_not_answer_the_keepalive() -> None:
    server = make_server()
    server.ping(b"mine")
    server.handle_deadline(20.0)
    give(server, PONG, b"mine", 21.0)
    take(server)
    server.handle_deadline(40.0)
    assert server.close_code == 1011


def test_idle_peer_is_closed() -> None:
    server = make_server(QUIET.replace(idle_timeout=30.0))
    give(server, TEXT, b"x", 10.0)
    assert server.next_deadline() == 40.0
    server.handle_deadline(40.0)
    assert get_state(server) is State.CLOSING
    assert server.close_sent is not None
    assert server.close_sent[0] == 1000
    assert server.next_deadline() == 50.0


def test_pings_and_pongs_do_not_keep_an_idle_peer() -> None:
    server = make_server(QUIET.replace(idle_timeout=30.0))
    for now in (10.0, 20.0, 29.0):
        give(server, PING, b"", now)
        give(server, PONG, b"", now)
        server.receive_data(b"", now)
    assert server.next_deadline() == 30.0


def test_message_among_control_frames_keeps_an_idle_peer() -> None:
    server = make_server(QUIET.replace(idle_timeout=30.0))
    frames = [(PING, b""), (TEXT, b"x"), (PONG, b"")]
    server.receive_data(b"".join(build_frame(opcode, data, key=KEY) for opcode, data in frames), 10.0)
    assert server.next_deadline() == 40.0


def test_closing_handshake_without_an_answer_ends_in_time() -> None:
    server = make_server()
    server.close(1000, "", 5.0)
    send(server)
    assert server.next_deadline() == 15.0
    server.handle_deadline(15.0)
    assert is_finished(server)
    assert server.close_code == 1006
    assert "10 s" in server.close_reason


def test_close_timeout_is_for_the_whole_closing_handshake() -> None:
    """The peer's late answer gives it no more time to take what is queued."""
    server = make_server()
    server.send_message(b"x" * 1000, False)
    server.close(1000, "", 0.0)
    give_close(server, now=9.0)
    take(server)
    assert server.queued
    assert server.next_deadline() == 10.0
    server.handle_deadline(10.0)
    assert is_finished(server)
    assert server.close_code == 1000


def test_without_close_timeout_a_stuck_peer_is_dropped_by_the_write_timeout() -> None:
    server = make_server(QUIET.replace(close_timeout=None, write_timeout=20.0))
    give_close(server)
    take(server)
    assert server.next_deadline() is None  # until the network was asked
    server.data_to_send()
    server.data_sent(0, 1.0)
    assert server.next_deadline() == 21.0
    server.handle_deadline(21.0)
    assert is_finished(server)


def test_peer_that_takes_nothing_is_lost() -> None:
    server = make_server(QUIET.replace(write_timeout=20.0))
    server.send_message(b"x" * 100, False)
    server.data_to_send()
    server.data_sent(50, 1.0)
    server.data_to_send()
    server.data_sent(0, 15.0)  # no progress
    assert server.next_deadline() == 21.0
    server.data_to_send()
    server.data_sent(10, 16.0)  # progress
    assert server.next_deadline() == 36.0
    server.handle_deadline(36.0)
    assert is_finished(server)
    assert server.close_code == 1006
    assert "took no bytes" in server.close_reason


def test_whole_piece_is_progress_and_the_last_one_the_end_of_waiting() -> None:
    server = make_server(QUIET.replace(write_timeout=20.0))
    server.send_message(b"x" * 100, False)
    server.data_to_send()
    server.data_sent(50, 1.0)
    server.send_message(b"y", False)
    server.data_sent(52, 5.0)
    assert server.next_deadline() == 25.0
    send(server, 6.0)
    assert server.next_deadline() is None


def test_pause_does_not_blame_the_peer_for_pongs_that_are_not_read() -> None:
    server = make_server()
    server.handle_deadline(20.0)
    ((_, payload),) = read_frames(send(server))
    server.pause()
    server.handle_deadline(500.0)
    assert get_state(server) is State.OPEN
    server.resume(1000.0)
    server.handle_deadline(1019.0)
    assert get_state(server) is State.OPEN
    give(server, PONG, payload, 1019.5)
    take(server)
    server.handle_deadline(1030.0)
    assert get_state(server) is State.OPEN


def test_pause_does_not_stop_the_closing_handshake() -> None:
    server = make_server()
    server.pause()
    server.close(1000, "", 1.0)
    server.handle_deadline(11.0)
    assert is_finished(server)
