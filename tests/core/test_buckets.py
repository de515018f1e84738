"""core.buckets: token buckets; the clock is an argument."""

from __future__ import annotations

import pytest

from ws4py_middleware.core.buckets import BucketTable, TokenBucket
from ws4py_middleware.core.policy import Rate


def test_bucket_is_full_at_first_and_fills_up_evenly() -> None:
    bucket = TokenBucket(Rate(10, per=5), now=100.0)
    assert [bucket.take(1, 100.0) for _ in range(11)] == [True] * 10 + [False]
    assert bucket.wait(1) == pytest.approx(0.5)
    assert not bucket.take(1, 100.4)
    assert bucket.wait(1) == pytest.approx(0.1)
    assert bucket.take(1, 100.5)
    assert not bucket.take(1, 100.5)
    assert bucket.take(2, 101.5)


def test_bucket_holds_no_more_than_its_burst() -> None:
    bucket = TokenBucket(Rate(2, burst=5), now=0.0)
    assert bucket.take(5, 1000.0)
    assert not bucket.take(1, 1000.0)
    assert not bucket.is_full(1002.4)
    assert bucket.is_full(1002.5)
    assert not bucket.take(6, 5000.0)
    assert bucket.take(5, 5000.0)


def test_bucket_what_cannot_be_taken_takes_nothing() -> None:
    bucket = TokenBucket(Rate(4), now=0.0)
    assert not bucket.take(5, 0.0)
    assert bucket.wait(4) == 0.0
    assert bucket.take(4, 0.0)


def test_bucket_a_clock_that_goes_back_fills_nothing() -> None:
    bucket = TokenBucket(Rate(1), now=100.0)
    assert bucket.take(1, 100.0)
    assert not bucket.take(1, 50.0)
    assert bucket.take(1, 51.0)


def test_table_has_a_bucket_for_each_key_and_rate() -> None:
    table = BucketTable()
    often, seldom = Rate(2), Rate(1, per=10)
    assert [table.take("a", often, 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert table.take("b", often, 0.0) == 0.0
    assert [table.take("a", seldom, 0.0) for _ in range(2)] == [0.0, 10.0]
    assert len(table) == 3


def test_table_forgets_what_is_as_good_as_new() -> None:
    table = BucketTable()
    for number in range(100):
        table.take(number, Rate(1), 0.0)
    assert len(table) == 100
    # Two go with each that comes.
    for number in range(99):
        table.take("one", Rate(1), 10.0 + number)
    assert len(table) == 1
    table.take("other", Rate(1), 1000.0)
    assert len(table) == 1
    assert table.take("other", Rate(1), 1000.0) == 1.0


def test_table_is_bounded_and_keeps_those_that_come_again_and_again() -> None:
    table = BucketTable(size=10)
    rate = Rate(1, per=1000)
    assert table.take("flood", rate, 0.0) == 0.0
    for number in range(1000):
        table.take(number, rate, 0.0)
        assert table.take("flood", rate, 0.0) > 0
        assert len(table) <= 10
    assert table.take(999, rate, 0.0) > 0
    assert table.take(0, rate, 0.0) == 0.0  # it was forgotten, which is the price of the bound
