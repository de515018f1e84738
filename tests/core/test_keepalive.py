"""core.keepalive: which pong answers which ping, RFC 6455 section 5.5.3."""

from __future__ import annotations

from ws4py_middleware.core.counts import Counts
from ws4py_middleware.core.events import PongReceived
from ws4py_middleware.core.keepalive import Keepalive


def test_answer_is_matched_and_measured() -> None:
    keepalive = Keepalive()
    payload = keepalive.make_ping(1.0)
    assert keepalive.is_unanswered
    pong = PongReceived(payload)
    assert keepalive.match(pong, 1.5)
    assert pong.latency == 0.5
    assert not keepalive.match(PongReceived(payload), 2.0)


def test_ping_waits_for_its_answer_once() -> None:
    keepalive = Keepalive()
    assert not keepalive.is_unanswered
    keepalive.match(PongReceived(keepalive.make_ping(1.0)), 1.5)
    assert not keepalive.is_unanswered


def test_pong_that_nobody_asked_for_answers_nothing() -> None:
    keepalive = Keepalive()
    keepalive.make_ping(1.0)
    assert not keepalive.match(PongReceived(b"else"), 1.5)
    assert keepalive.is_unanswered
    assert not keepalive.answered


def test_answer_to_a_later_ping_of_the_application_counts_and_measures_nothing() -> None:
    keepalive = Keepalive()
    keepalive.make_ping(1.0)
    keepalive.note_ping(b"mine")
    pong = PongReceived(b"mine")
    assert keepalive.match(pong, 1.5)
    assert pong.latency is None
    assert not keepalive.answered
    keepalive.make_ping(2.0)
    assert not keepalive.match(PongReceived(b"mine"), 2.5)


def test_each_ping_is_told_from_the_others() -> None:
    keepalive = Keepalive()
    first, second = keepalive.make_ping(1.0), keepalive.make_ping(2.0)
    assert first != second
    assert not keepalive.match(PongReceived(first), 2.5)
    assert keepalive.match(PongReceived(second), 2.5)


def test_measures_keep_the_last_the_least_and_the_most() -> None:
    keepalive = Keepalive()
    for took in (2.0, 1.0, 4.0, 3.0):
        keepalive.match(PongReceived(keepalive.make_ping(10.0)), 10.0 + took)
    assert (keepalive.answered, keepalive.total, keepalive.last) == (4, 10.0, 3.0)
    assert (keepalive.lowest, keepalive.highest) == (1.0, 4.0)


def test_latencies_are_filled_in() -> None:
    keepalive, counts = Keepalive(), Counts()
    keepalive.count_into(counts)
    assert counts == Counts()
    for now, took in ((1.0, 0.5), (2.0, 0.25)):
        keepalive.match(PongReceived(keepalive.make_ping(now)), now + took)
    keepalive.count_into(counts)
    assert counts == Counts(pings_answered=2, latency_sum=0.75, latency_min=0.25, latency_max=0.5)
