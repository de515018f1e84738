"""
How long many things took, in buckets that are as fine as the time is short.

The buckets are those of HDR histograms: each power of two is divided into as many parts, so that any value
is known to within 1.6 %, from a nanosecond to hours, in some kilobytes and at the same price for each.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Histogram"]

#: Each power of two has two to the power of this buckets.
_BITS = 6
_PARTS = 1 << _BITS


def _find_middle(index: int) -> int:
    """Return the value in the middle of a bucket."""
    shift = (index >> _BITS) - 1
    return index if shift <= 0 else ((index - (shift << _BITS)) << shift) + (1 << shift >> 1)


class Histogram:
    """
    Counts of values that are whole numbers, 0 or more; here nanoseconds.

    >>> histogram = Histogram()
    >>> for value in range(1, 1001):
    ...     histogram.record(value * 1000)
    >>> len(histogram), histogram.max, histogram.percentile(0), histogram.percentile(100)
    (1000, 1000000, 1000, 1000000)
    >>> 495_000 < histogram.percentile(50) < 505_000
    True
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.max = 0
        self.min: int | None = None

    def record(self, value: int) -> None:
        """Count a value."""
        shift = value.bit_length() - _BITS - 1
        index = value if shift <= 0 else (shift << _BITS) + (value >> shift)
        counts = self._counts
        counts[index] = counts.get(index, 0) + 1
        if value > self.max:
            self.max = value
        if self.min is None or value < self.min:
            self.min = value

    def __len__(self) -> int:
        return sum(self._counts.values())

    def percentile(self, percent: float) -> int:
        """
        Return the value that so many percent of all are not above; 0 when there are none.

        0 and 100 are exact, those between to within 1.6 %.
        """
        if self.min is None or percent >= 100:
            return self.max
        wanted = len(self) * percent / 100
        seen = 0
        for value, count in self:
            seen += count
            if seen >= wanted > 0:
                return max(self.min, min(self.max, value))
        return self.min

    def divide(self, bounds: list[int]) -> list[int]:
        """
        Count what is below each bound, and not below the one before; and at the end what is above all.

        Args:
            bounds: Values, the lowest first.
        """
        counts = [0] * (len(bounds) + 1)
        for value, count in self:
            place = next((place for place, bound in enumerate(bounds) if value < bound), len(bounds))
            counts[place] += count
        return counts

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over the buckets that have something, the lowest first: a value in it, and how many."""
        for index in sorted(self._counts):
            yield _find_middle(index), self._counts[index]
