"""Buckets that are as fine as the time is short."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.cli.bench.histogram import Histogram

#: Up to an hour, in nanoseconds.
VALUES = st.lists(st.integers(0, 3600 * 10**9), min_size=1, max_size=200)


def make(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(VALUES, st.floats(0, 100))
def test_percentiles_are_right_to_a_sixtieth(values: list[int], percent: float) -> None:
    values.sort()
    exact = values[max(0, math.ceil(len(values) * percent / 100) - 1)]
    assert make(values).percentile(percent) == pytest.approx(exact, rel=1 / 60)


@given(VALUES)
def test_ends_are_exact_and_nothing_is_lost(values: list[int]) -> None:
    histogram = make(values)
    assert (histogram.percentile(0), histogram.percentile(100)) == (min(values), max(values))
    assert (histogram.min, histogram.max) == (min(values), max(values))
    assert len(histogram) == sum(count for _, count in histogram) == len(values)
    bounds = [10**power for power in range(3, 13)]
    assert sum(histogram.divide(bounds)) == len(values)


def test_small_values_have_buckets_of_their_own() -> None:
    assert list(make([0, 1, 2, 127, 127])) == [(0, 1), (1, 1), (2, 1), (127, 2)]


def test_divide_counts_below_each_bound() -> None:
    assert make([5, 10, 15, 20, 99]).divide([10, 20]) == [1, 2, 2]


def test_without_values_there_is_nothing() -> None:
    histogram = Histogram()
    assert (len(histogram), histogram.max, histogram.percentile(50), list(histogram)) == (0, 0, 0, [])
