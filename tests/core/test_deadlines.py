"""core.deadlines: what is due when; the clock is an argument."""

from __future__ import annotations

import pytest

from ws4py_middleware.core.deadlines import LINGER, Deadlines, Due
from ws4py_middleware.core.policy import Policy

POLICY = Policy(
    ping_interval=20.0, ping_timeout=10.0, write_timeout=15.0, close_timeout=5.0, idle_timeout=60.0
)
OFF = Policy(ping_interval=None, ping_timeout=None, write_timeout=None, close_timeout=None, idle_timeout=None)


def take_all(deadlines: Deadlines, now: float) -> list[Due]:
    due = []
    while (next_due := deadlines.take_due(now)) is not None:
        due.append(next_due)
    return due


def test_all_switched_off_has_no_deadline() -> None:
    deadlines = Deadlines(OFF, 100.0)
    deadlines.ping_sent(100.0)
    deadlines.write_blocked(100.0)
    deadlines.message_received(100.0)
    deadlines.pause(100.0)
    deadlines.resume(105.0)
    assert not deadlines.is_write_blocked
    assert deadlines.next() is None
    assert take_all(deadlines, 1e9) == []
    deadlines.close_sent(100.0)
    assert deadlines.next() is None


def test_ping_is_due_after_interval_and_again_from_the_time_it_was_taken() -> None:
    deadlines = Deadlines(POLICY, 100.0)
    assert deadlines.next() == 120.0
    assert take_all(deadlines, 119.9) == []
    assert take_all(deadlines, 120.0) == [Due.PING]
    assert deadlines.next() == 140.0
    # A driver that slept through five intervals sends one ping, not five.
    deadlines.message_received(240.0)
    assert take_all(deadlines, 241.0) == [Due.PING]
    assert deadlines.next() == 261.0


def test_without_keepalive_no_ping_is_due() -> None:
    deadlines = Deadlines(POLICY, 100.0, keepalive=False)
    assert deadlines.next() == 160.0
    assert take_all(deadlines, 160.0) == [Due.IDLE_TIMEOUT]
    assert deadlines.next() is None


def test_pong_and_the_end_lift_nothing_where_only_pings_are_due() -> None:
    deadlines = Deadlines(OFF.replace(ping_interval=20.0), 100.0)
    deadlines.ping_sent(100.0)
    deadlines.pong_received()
    assert deadlines.next() == 120.0
    deadlines.end()
    assert deadlines.next() is None


def test_pong_in_time_lifts_the_ping_timeout() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.ping_sent(20.0)
    assert deadlines.next() == 20.0
    take_all(deadlines, 20.0)
    assert deadlines.next() == 30.0
    deadlines.pong_received()
    assert deadlines.next() == 40.0


def test_no_pong_in_time_is_a_ping_timeout_once() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    assert take_all(deadlines, 20.0) == [Due.PING]
    deadlines.ping_sent(20.0)
    # A second ping gives the first one no more time.
    deadlines.ping_sent(25.0)
    assert take_all(deadlines, 29.9) == []
    assert take_all(deadlines, 30.0) == [Due.PING_TIMEOUT]
    # Nor is there another ping.
    assert take_all(deadlines, 59.0) == []


def test_idle_is_measured_from_the_last_message() -> None:
    deadlines = Deadlines(POLICY.replace(ping_interval=None), 0.0)
    assert deadlines.next() == 60.0
    deadlines.message_received(30.0)
    assert take_all(deadlines, 89.9) == []
    assert take_all(deadlines, 90.0) == [Due.IDLE_TIMEOUT]
    assert deadlines.next() is None
    deadlines.message_received(91.0)
    assert deadlines.next() is None


def test_write_timeout_ends_everything() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.write_blocked(1.0)
    assert deadlines.is_write_blocked
    assert deadlines.next() == 16.0
    deadlines.write_blocked(3.0)
    assert take_all(deadlines, 17.9) == []
    assert take_all(deadlines, 18.0) == [Due.WRITE_TIMEOUT]
    assert deadlines.next() is None
    assert not deadlines.is_write_blocked


def test_write_done_lifts_the_write_timeout() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.write_blocked(1.0)
    deadlines.write_done()
    assert not deadlines.is_write_blocked
    assert deadlines.next() == 20.0


def test_close_sent_leaves_only_close_and_write() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.ping_sent(0.0)
    deadlines.write_blocked(0.0)
    deadlines.close_sent(11.0)
    assert deadlines.next() == 15.0
    deadlines.write_done()
    assert take_all(deadlines, 15.9) == []
    assert take_all(deadlines, 16.0) == [Due.CLOSE_TIMEOUT]
    assert deadlines.next() is None


def test_close_sent_twice_gives_no_more_time() -> None:
    """``close_timeout`` is the longest time of a closing handshake *in all*."""
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.close_sent(10.0)
    deadlines.close_sent(14.0)
    assert deadlines.next() == 15.0


def test_close_is_graver_than_write() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.write_blocked(0.0)
    deadlines.close_sent(10.0)
    assert take_all(deadlines, 100.0) == [Due.CLOSE_TIMEOUT]


def test_ping_timeout_is_graver_than_idle() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.ping_sent(20.0)
    assert take_all(deadlines, 100.0) == [Due.PING_TIMEOUT, Due.IDLE_TIMEOUT]


def test_linger_is_all_that_is_left() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.ping_sent(0.0)
    deadlines.write_blocked(0.0)
    deadlines.close_sent(1.0)
    deadlines.linger(2.0)
    assert deadlines.next() == 2.0 + LINGER
    assert take_all(deadlines, 2.0 + LINGER) == [Due.CLOSE_TIMEOUT]
    assert deadlines.next() is None


def test_end_leaves_nothing() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.ping_sent(0.0)
    deadlines.write_blocked(0.0)
    deadlines.end()
    assert deadlines.next() is None


@pytest.mark.parametrize("paused_for", [1.0, 1000.0])
def test_pause_stops_the_clocks_of_what_the_peer_has_to_say(paused_for: float) -> None:
    deadlines = Deadlines(POLICY.replace(ping_interval=None), 0.0)
    deadlines.ping_sent(50.0)  # due at 60; idle is due at 60, too
    deadlines.pause(54.0)
    deadlines.pause(55.0)  # it is paused already
    assert deadlines.next() is None
    assert take_all(deadlines, 54.0 + paused_for) == []
    deadlines.resume(54.0 + paused_for)
    assert deadlines.next() == 60.0 + paused_for
    assert take_all(deadlines, 60.0 + paused_for) == [Due.PING_TIMEOUT, Due.IDLE_TIMEOUT]


def test_ping_that_is_sent_while_paused_has_its_whole_time_from_resume_on() -> None:
    deadlines = Deadlines(POLICY.replace(ping_interval=None, idle_timeout=None), 0.0)
    deadlines.pause(10.0)
    deadlines.ping_sent(12.0)
    assert deadlines.next() is None
    deadlines.resume(100.0)
    assert deadlines.next() == 110.0


def test_pauses_do_not_renew_the_ping_timeout() -> None:
    """A peer that is deaf to pings, but has us pause all the time, is found out in the end."""
    deadlines = Deadlines(POLICY.replace(ping_interval=None, idle_timeout=None), 0.0)
    deadlines.ping_sent(0.0)
    now = 0.0
    for _ in range(19):
        now += 0.5
        assert take_all(deadlines, now) == []
        deadlines.pause(now)
        now += 7.0
        deadlines.resume(now)
    assert take_all(deadlines, now + 0.5) == [Due.PING_TIMEOUT]


def test_resume_without_pause_changes_nothing() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.ping_sent(5.0)
    deadlines.resume(14.0)
    assert deadlines.next() == 15.0


def test_message_while_paused_counts_from_resume_on() -> None:
    """What was parsed before the pause may be taken during it."""
    deadlines = Deadlines(POLICY.replace(ping_interval=None), 0.0)
    deadlines.pause(10.0)
    deadlines.message_received(20.0)
    deadlines.resume(40.0)
    assert deadlines.next() == 100.0


def test_ping_write_and_close_do_not_pause() -> None:
    deadlines = Deadlines(POLICY, 0.0)
    deadlines.pause(1.0)
    assert deadlines.next() == 20.0
    deadlines.write_blocked(2.0)
    assert deadlines.next() == 17.0
    deadlines.close_sent(3.0)
    assert deadlines.next() == 8.0


def test_lifetime_over_is_noted_once_and_renewed() -> None:
    deadlines = Deadlines(OFF.replace(max_lifetime=60.0), 100.0)
    assert deadlines.next() == 160.0
    assert take_all(deadlines, 159.9) == []
    assert not _is_over(deadlines)
    deadlines.pause(100.0)  # it goes on while nothing is read
    assert take_all(deadlines, 160.0) == []
    assert _is_over(deadlines)
    assert deadlines.next() is None
    deadlines.renew(170.0)
    assert not _is_over(deadlines)
    assert deadlines.next() == 230.0


def test_lifetime_ends_with_the_closing_handshake() -> None:
    deadlines = Deadlines(OFF.replace(max_lifetime=60.0), 100.0)
    deadlines.close_sent(110.0)
    assert deadlines.next() is None
    unlimited = Deadlines(OFF, 100.0)
    unlimited.renew(110.0)
    assert unlimited.next() is None


def _is_over(deadlines: Deadlines) -> bool:
    return deadlines.lifetime_over
