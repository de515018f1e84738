"""core.counts: how what is counted adds up."""

from __future__ import annotations

from ws4py_middleware.core.counts import Counts, ratio


def test_sums_extremes_and_what_is_not_known_add_up() -> None:
    counts = Counts()
    counts.add(
        Counts(messages_received=1, pings_answered=1, latency_sum=2.0, latency_min=2.0, latency_max=2.0)
    )
    counts.add(Counts(messages_received=2, queued_max=5))
    counts.add(Counts(queued_max=3, pings_answered=1, latency_sum=1.0, latency_min=1.0, latency_max=1.0))
    assert counts == Counts(
        messages_received=3, queued_max=5, pings_answered=2, latency_sum=3.0, latency_min=1.0, latency_max=2.0
    )
    assert counts.latency_avg == 1.5
    assert Counts().latency_avg is None


def test_ratio_of_nothing_is_not_known() -> None:
    assert ratio(0, 0) is None
    assert ratio(30, 10) == 3.0
    counts = Counts(packed_received=1, plain_received=2, packed_sent=1, plain_sent=5)
    assert (counts.compression_received, counts.compression_sent) == (2.0, 5.0)
