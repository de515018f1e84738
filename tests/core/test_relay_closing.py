"""core.relay: how it ends, and when."""

from __future__ import annotations

import pytest

from tests.core.relays import disconnect, ends, get_state, give, is_finished, make, send, take
from ws4py_middleware.core.deadlines import LINGER
from ws4py_middleware.core.relay import TRANSITIONS, Step
from ws4py_middleware.core.types import State
from ws4py_middleware.exc import ConnectionClosed


def test_transitions_are_complete_and_nothing_leaves_closed() -> None:
    steps = {(state, step) for state in (State.OPEN, State.CLOSING) for step in Step}
    assert set(TRANSITIONS) == steps - {(State.CLOSING, Step.SEND_CLOSE)}


def test_disconnect_is_the_end_and_its_code_the_peers() -> None:
    relay = make()
    give(relay, "last")
    disconnect(relay, 4001, "bye")
    relay.receive_eof(0.0)
    relay.send_message(b"nobody takes it", True)
    assert relay.eof_received
    assert take(relay) == [("text", b"last"), ("close", 4001, "bye")]
    assert ends(relay) == (4001, "bye")
    assert (relay.close_received, relay.close_sent) == ((4001, "bye"), None)
    assert get_state(relay) is State.CLOSED
    assert is_finished(relay)
    assert send(relay) == []
    relay.lose("later")
    assert ends(relay) == (4001, "bye")


def test_receive_eof_without_a_disconnect_is_1006() -> None:
    relay = make()
    relay.receive_eof(0.0)
    assert take(relay) == [("close", 1006, "")]
    assert ends(relay) == (1006, "")


def test_close_waits_for_the_disconnect_and_the_code_is_ours() -> None:
    relay = make()
    relay.send_message(b"before", True)
    relay.close(4002, "done", 1.0)
    relay.close(4003, "again", 1.0)
    assert get_state(relay) is State.CLOSING
    with pytest.raises(ConnectionClosed):
        relay.send_message(b"after", True)
    assert send(relay, 1.0) == [("text", "before"), ("close", 4002, "done")]
    assert not is_finished(relay)
    give(relay, "still read")
    disconnect(relay, 1012)
    assert take(relay) == [("text", b"still read"), ("close", 1012, "")]
    assert ends(relay) == (4002, "done")
    assert relay.close_sent == relay.close_received == (4002, "done")
    assert is_finished(relay)


def test_close_that_the_server_was_not_given_the_code_is_the_peers() -> None:
    relay = make()
    relay.close(4002, "", 0.0)
    disconnect(relay, 1001)
    take(relay)
    assert ends(relay) == (1001, "")


def test_close_without_a_code_is_1000() -> None:
    relay = make()
    relay.close(None, "", 0.0)
    assert send(relay) == [("close", 1000, "")]
    assert relay.close_sent == (1000, "")


def test_close_reason_is_cut() -> None:
    relay = make()
    relay.close(1000, "ä" * 100, 0.0)
    assert send(relay) == [("close", 1000, "ä" * 61)]


def test_close_and_fail_with_a_code_that_may_not_be_sent_change_nothing() -> None:
    relay = make()
    with pytest.raises(ValueError, match="1006"):
        relay.close(1006, "", 0.0)
    with pytest.raises(ValueError, match="1006"):
        relay.fail(1006, "", 0.0)
    assert get_state(relay) is State.OPEN


def test_close_timeout_is_the_end() -> None:
    relay = make(close_timeout=5.0)
    relay.close(1000, "", 1.0)
    send(relay, 1.0)
    assert relay.next_deadline() == 6.0
    relay.handle_deadline(6.0)
    assert is_finished(relay)
    assert ends(relay) == (1006, "the closing handshake did not end within 5 s")


def test_fail_is_finished_when_the_server_has_taken_it() -> None:
    relay = make(close_timeout=5.0)
    give(relay, "not wanted any more")
    relay.send_message(b"before", True)
    relay.fail(1011, "internal error", 1.0)
    relay.fail(1002, "again", 1.0)
    assert take(relay) == []
    assert ends(relay) == (1011, "internal error")
    assert not is_finished(relay)
    assert relay.next_deadline() == 6.0
    assert send(relay, 2.0) == [("text", "before"), ("close", 1011, "internal error")]
    assert is_finished(relay)
    assert relay.next_deadline() is None


def test_fail_while_closing_says_nothing_more() -> None:
    relay = make()
    relay.close(1000, "", 0.0)
    relay.fail(1011, "internal error", 0.0)
    assert send(relay) == [("close", 1000, "")]
    assert ends(relay) == (1011, "internal error")
    assert is_finished(relay)


def test_fail_of_one_that_has_said_all_is_finished_at_once() -> None:
    relay = make()
    relay.close(1000, "", 0.0)
    send(relay)
    relay.fail(1009, "too big", 0.0, discard=True)
    assert is_finished(relay)


def test_fail_discards_for_a_peer_that_takes_nothing_and_waits_a_moment() -> None:
    relay = make()
    relay.send_message(b"given", True)
    relay.data_to_send()
    relay.data_sent(0, 0.0)
    relay.send_message(b"queued", True)
    relay.fail(1013, "too slow", 1.0, discard=True)
    assert relay.queued == 5 + 64 + 64
    assert relay.next_deadline() == 1.0 + LINGER
    relay.handle_deadline(1.0 + LINGER)
    assert is_finished(relay)
    assert ends(relay) == (1013, "too slow")


def test_lose_forgets_everything() -> None:
    relay = make()
    relay.send_message(b"x", True)
    relay.data_to_send()
    relay.send_message(b"y", True)
    relay.lose("gone")
    assert send(relay) == []
    assert is_finished(relay)
    assert ends(relay) == (1006, "gone")


def test_write_timeout_is_the_end_of_a_peer_that_takes_nothing() -> None:
    relay = make(write_timeout=10.0)
    for _ in range(3):
        relay.send_message(bytes(70_000), False)
    relay.data_to_send()
    relay.data_sent(0, 1.0)
    relay.data_sent(0, 5.0)
    assert relay.next_deadline() == 11.0
    relay.data_sent(1, 6.0)
    assert relay.next_deadline() == 16.0  # for the next one
    send(relay, 7.0)
    assert relay.next_deadline() is None
    relay.send_message(b"x", True)
    relay.data_to_send()
    relay.data_sent(0, 20.0)
    relay.handle_deadline(30.0)
    assert ends(relay) == (1006, "the peer took no message within 10 s")
    assert is_finished(relay)


def test_write_timeout_progress_within_a_batch_counts() -> None:
    relay = make(write_timeout=10.0)
    relay.send_message(b"1", True)
    relay.send_message(b"2", True)
    relay.data_to_send()
    relay.data_sent(0, 0.0)
    relay.data_sent(1, 5.0)
    assert relay.next_deadline() == 15.0


def test_idle_timeout_closes_and_a_pause_does_not_count() -> None:
    relay = make(idle_timeout=10.0, close_timeout=5.0)
    assert relay.next_deadline() == 10.0
    give(relay, "x", now=4.0)
    assert relay.next_deadline() == 14.0
    relay.pause()
    assert relay.next_deadline() is None
    relay.resume(24.0)
    assert relay.next_deadline() == 34.0
    relay.handle_deadline(34.0)
    assert get_state(relay) is State.CLOSING
    assert send(relay, 34.0) == [("close", 1000, "no message within 10 s")]


def test_it_sends_no_keepalive_pings() -> None:
    relay = make(ping_interval=1.0)
    assert relay.next_deadline() is None
    relay.handle_deadline(100.0)
    assert send(relay) == []


def test_lose_after_a_failure_keeps_its_code() -> None:
    relay = make()
    relay.fail(1011, "internal error", 0.0)
    relay.lose("gone")
    assert ends(relay) == (1011, "internal error")
