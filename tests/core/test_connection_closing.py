"""core.connection: the closing handshake, and all other ways to the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.connections import (
    POLICY,
    get_state,
    give,
    give_close,
    half_close,
    has_more,
    is_finished,
    make_client,
    make_server,
    send,
    send_firsts,
    take,
)
from tests.core.pair import ConnectionPair
from tests.core.wire import BINARY, CONT, KEY, TEXT, build_close, build_frame, read_frames
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.deadlines import LINGER
from ws4py_middleware.core.types import State

# --- the closing handshake ---------------------------------------------------------


@pytest.mark.parametrize("side", ["client", "server"])
def test_closing_handshake_ends_both_with_the_same_code(side: str) -> None:
    pair = ConnectionPair()
    end = getattr(pair, side)
    end.connection.close(4000, "done", pair.now)
    assert get_state(end.connection) is State.CLOSING
    assert end.connection.close_sent == (4000, "done")
    pair.finish()
    assert pair.now == 0.0  # no timer was needed
    for connection in (pair.client.connection, pair.server.connection):
        assert connection.close_code == 4000
        assert connection.close_sent is not None
        assert connection.close_sent[0] == 4000
    other = pair.server if side == "client" else pair.client
    assert other.events == [("close", 4000, "done")]
    assert other.connection.close_reason == "done"
    assert other.connection.close_sent == (4000, "")


def test_close_of_both_at_once() -> None:
    pair = ConnectionPair()
    pair.client.connection.close(1000, "bye", 0.0)
    pair.server.connection.close(1001, "away", 0.0)
    pair.finish()
    assert pair.client.connection.close_code == 1001
    assert pair.server.connection.close_code == 1000


@pytest.mark.parametrize("code", [None, 1005])
def test_close_without_a_code(code: int | None) -> None:
    pair = ConnectionPair()
    pair.client.connection.close(code, "", 0.0)
    assert pair.client.connection.close_sent == (1005, "")
    pair.finish()
    assert pair.server.events == [("close", 1005, "")]
    assert pair.server.connection.close_sent == (1005, "")
    assert pair.client.connection.close_code == 1005


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_close_with_a_code_that_may_not_be_sent_changes_nothing(code: int) -> None:
    server = make_server()
    with pytest.raises(ValueError, match="may not be sent"):
        server.close(code, "", 0.0)
    with pytest.raises(ValueError, match="may not be sent"):
        server.fail(code, "", 0.0)
    assert get_state(server) is State.OPEN
    assert server.close_sent is None
    assert server.queued == 0
    assert server.close_code == 1006


def test_close_again_does_nothing() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    server.close(1001, "", 3.0)
    assert server.close_sent == (1000, "")
    assert len(list(read_frames(send(server)))) == 1
    assert server.next_deadline() == 10.0


def test_long_reason_is_cut_at_a_code_point() -> None:
    server = make_server()
    server.close(1000, "é" * 100, 0.0)
    ((_, payload),) = read_frames(send(server))
    assert payload == b"\x03\xe8" + "é".encode() * 61


def test_messages_are_still_taken_after_this_end_closed() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    give(server, TEXT, b"still here")
    give_close(server, 1000)
    assert take(server) == [("text", b"still here"), ("close", 1000, "")]
    assert get_state(server) is State.CLOSED
    assert len(list(read_frames(send(server)))) == 1


def test_bytes_behind_a_close_frame_are_ignored() -> None:
    server = make_server()
    server.receive_data(build_close(1000, key=KEY) + b"\xff" * 100, 0.0)
    server.receive_data(b"\xff" * 100, 0.0)
    assert take(server) == [("close", 1000, "")]
    server.receive_data(b"\xff" * 100, 0.0)
    assert take(server) == []
    assert server.close_code == 1000


def test_server_says_fin_first_and_client_waits() -> None:
    """RFC 6455 section 7.1.1: the server closes the TCP connection first, the client waits a moment."""
    pair = ConnectionPair()
    client, server = pair.client.connection, pair.server.connection
    client.close(1000, "", 0.0)
    pair.client.write(0.0)
    pair.server.read(pair.client, 0.0)
    pair.server.take_events(0.0)
    assert not half_close(server)  # the reply is not out yet
    pair.server.write(0.0)
    assert half_close(server)
    assert not is_finished(server)
    pair.client.read(pair.server, 0.0)
    pair.client.take_events(0.0)
    assert get_state(client) is State.CLOSED
    assert not half_close(client)
    assert not is_finished(client)
    pair.client.read(pair.server, 0.0)
    pair.client.take_events(0.0)
    assert is_finished(client)


@pytest.mark.parametrize("make", [make_server, make_client])
def test_peer_that_says_no_fin_is_waited_for_a_moment_only(make: Callable[[], Connection]) -> None:
    connection = make()
    give_close(connection, now=50.0)
    take(connection)
    send(connection, 51.0)
    assert connection.next_deadline() == 51.0 + LINGER
    connection.handle_deadline(51.0 + LINGER)
    assert is_finished(connection)
    assert connection.next_deadline() is None


def test_fin_right_behind_a_close_frame_leaves_the_reply_time() -> None:
    """A peer that closed its half of the TCP connection still reads the other."""
    server = make_server()
    server.send_message(b"x" * 1000, False)
    give_close(server)
    server.receive_eof(0.0)
    assert take(server) == [("close", 1000, "")]
    assert server.next_event() is None
    assert not is_finished(server)
    assert send_firsts(server) == [0x82, 0x88]
    assert is_finished(server)
    assert server.next_deadline() is None


def test_fin_behind_the_end_finishes_at_once() -> None:
    server = make_server()
    give_close(server)
    take(server)
    send(server)
    assert not is_finished(server)
    server.receive_eof(0.0)
    assert is_finished(server)
    assert server.next_event() is None


# --- the peer's bytes end without a Close frame ------------------------------------


def test_eof_delivers_what_came_before_it() -> None:
    server = make_server()
    give(server, TEXT, b"last words")
    server.receive_eof(0.0)
    assert get_state(server) is State.OPEN
    assert not is_finished(server)
    assert take(server) == [("text", b"last words")]
    assert get_state(server) is State.CLOSED
    assert is_finished(server)
    assert server.close_code == 1006
    assert server.next_deadline() is None


def test_eof_waits_for_what_is_not_parsed_yet() -> None:
    server = make_server(POLICY.replace(turn_frames=1))
    server.receive_data(build_frame(TEXT, b"x", key=KEY) * 3, 0.0)
    server.receive_eof(0.0)
    taken = take(server)
    assert not is_finished(server)
    while has_more(server):
        server.receive_data(b"", 0.0)
        taken += take(server)
    assert len(taken) == 3
    assert is_finished(server)


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8])
def test_eof_in_a_frame_is_an_abnormal_end(size: int) -> None:
    server = make_server()
    server.receive_data(build_frame(TEXT, b"Hello", key=KEY)[:size], 0.0)
    server.receive_eof(0.0)
    assert take(server) == []
    assert is_finished(server)
    assert server.close_code == 1006


def test_eof_in_the_closing_handshake_is_an_abnormal_end() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    send(server)
    server.receive_eof(0.0)
    assert take(server) == []
    assert (is_finished(server), server.close_code) == (True, 1006)


def test_eof_leaves_time_for_what_is_queued() -> None:
    server = make_server()
    give(server, TEXT, b"question")
    server.receive_eof(7.0)
    assert server.next_event() is not None
    server.send_message(b"answer", True)
    assert server.next_event() is None
    assert get_state(server) is State.CLOSED
    assert not is_finished(server)
    assert server.next_deadline() == 17.0
    assert send(server) == build_frame(TEXT, b"answer")
    assert is_finished(server)


def test_eof_with_a_queue_that_nobody_takes_ends_in_time() -> None:
    server = make_server()
    server.send_message(b"answer", True)
    server.data_to_send()
    server.data_sent(0, 0.0)
    server.receive_eof(7.0)
    take(server)
    server.handle_deadline(17.0)
    assert is_finished(server)
    assert server.next_deadline() is None


# --- failing -----------------------------------------------------------------------


def test_failure_follows_the_events_before_it() -> None:
    server = make_server()
    server.receive_data(build_frame(TEXT, b"good", key=KEY) + build_frame(3, b"bad", key=KEY), 1.0)
    assert server.next_event() is not None
    assert get_state(server) is State.OPEN
    server.send_message(b"answer", True)
    assert server.next_event() is None
    assert get_state(server) is State.CLOSED
    assert server.close_sent is not None
    assert server.close_sent[0] == server.close_code == 1002
    assert "opcode" in server.close_reason
    frames = list(read_frames(send(server, 2.0)))
    assert frames[0] == (0x81, b"answer")
    assert frames[1][0] == 0x88
    assert frames[1][1][:2] == b"\x03\xea"
    assert half_close(server)
    assert server.next_deadline() == 2.0 + LINGER


def test_failure_with_fin_behind_it_sends_its_close_frame() -> None:
    server = make_server()
    server.receive_data(b"\xff\xff", 0.0)
    server.receive_eof(0.0)
    assert take(server) == []
    assert not is_finished(server)
    assert send_firsts(server) == [0x88]
    assert is_finished(server)


def test_failed_client_says_fin_itself() -> None:
    client = make_client()
    give(client, BINARY, b"x" * 10)
    client.fail(1003, "text only", 0.0)
    send(client)
    assert half_close(client)


def test_failure_in_the_closing_handshake_sends_no_second_close_frame() -> None:
    server = make_server()
    server.close(1000, "", 0.0)
    server.receive_data(b"\xff\xff", 1.0)
    take(server)
    assert get_state(server) is State.CLOSED
    assert server.close_code == 1002
    assert len(list(read_frames(send(server)))) == 1


def test_failure_of_a_closed_connection_changes_nothing() -> None:
    server = make_server()
    give_close(server, 1000)
    take(server)
    server.fail(1011, "too late", 0.0)
    assert server.close_code == 1000
    assert len(list(read_frames(send(server)))) == 1


def test_failure_with_discard_sends_the_rest_of_a_frame_and_close() -> None:
    server = make_server()
    server.send_message(b"first", True)
    server.data_to_send()
    server.data_sent(2, 0.0)
    server.send_fragment(b"a", True, first=True, fin=False)
    server.send_message(b"held", True)
    server.fail(1013, "too slow", 5.0, discard=True)
    assert server.next_deadline() == 5.0 + LINGER
    assert server.backlog == server.queued
    wire = build_frame(TEXT, b"first")[:2] + send(server, 5.0)
    assert [first for first, _ in read_frames(wire)] == [0x81, 0x88]


def test_failure_with_discard_keeps_a_close_frame_that_is_queued_already() -> None:
    server = make_server()
    server.send_message(b"x", True)
    server.close(1000, "", 0.0)
    server.fail(1013, "too slow", 0.0, discard=True)
    assert send(server).hex() == "880203e8"


def test_lost_connection_is_finished_with_1006() -> None:
    server = make_server()
    server.send_message(b"x", True)
    server.data_to_send()
    server.send_message(b"y", True)
    server.lose("reset by peer")
    assert is_finished(server)
    assert get_state(server) is State.CLOSED
    assert (server.close_code, server.close_reason) == (1006, "reset by peer")
    assert server.queued == 0
    assert server.data_to_send() == b""
    assert server.next_deadline() is None
    server.lose("again")
    assert server.close_reason == "reset by peer"


def test_lost_after_the_closing_handshake_keeps_its_code() -> None:
    server = make_server()
    give_close(server, 1001, b"bye")
    take(server)
    server.lose("broken pipe")
    assert (server.close_code, server.close_reason) == (1001, "bye")


def test_cont_is_refused_without_a_message() -> None:
    server = make_server()
    give(server, CONT, b"x")
    assert take(server) == []
    assert server.close_code == 1002


# --- every way to the end ----------------------------------------------------------


def _fail(connection: Connection) -> None:
    connection.fail(1011, "", 0.0)


def _discard(connection: Connection) -> None:
    connection.fail(1013, "", 0.0, discard=True)


def _bad_frame(connection: Connection) -> None:
    connection.receive_data(b"\xff\xff", 0.0)


def _eof(connection: Connection) -> None:
    connection.receive_eof(0.0)


def _lose(connection: Connection) -> None:
    connection.lose("gone")


def _close(connection: Connection) -> None:
    connection.close(1000, "", 0.0)


_STEPS = [_fail, _discard, _bad_frame, _eof, _lose, _close, give_close]


@pytest.mark.parametrize("make", [make_server, make_client])
@pytest.mark.parametrize("first", _STEPS)
@pytest.mark.parametrize("second", _STEPS)
@pytest.mark.parametrize("stuck", [False, True])
def test_every_way_to_the_end_is_finished_in_time(
    make: Callable[[], Connection],
    first: Callable[[Connection], None],
    second: Callable[[Connection], None],
    stuck: bool,
) -> None:
    connection = make()
    connection.send_message(b"queued", True)
    connection.data_to_send()
    connection.data_sent(1, 0.0)
    first(connection)
    take(connection)
    second(connection)
    take(connection)
    now = 0.0
    while not is_finished(connection):
        if not stuck:
            send(connection, now)
        if is_finished(connection):
            break
        deadline = connection.next_deadline()
        assert deadline is not None, "it would stay for ever"
        assert deadline >= now
        now = deadline
        connection.handle_deadline(now)
        take(connection)
    assert now <= 10.0 + LINGER
    assert get_state(connection) is State.CLOSED
    assert connection.next_deadline() is None
