"""
Buckets: how often something may happen, as values; time is an argument.

A token bucket holds ``rate.burst_size`` tokens at most and fills up evenly; what happens takes tokens
out. So a peer that is quick for a moment is served, and one that is quick all the time is not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from .policy import Rate

__all__ = ["BucketTable", "TokenBucket"]

#: How many buckets that have filled up again are thrown away with each one that is asked for.
_SWEEP = 2


class TokenBucket:
    """
    One token bucket, full at first.

    Args:
        rate: What it holds, and how fast it fills up.
        now: The time, in seconds of one monotonic clock.

    >>> bucket = TokenBucket(Rate(2), now=0.0)
    >>> [bucket.take(1, 0.0) for _ in range(3)], bucket.wait(1), bucket.take(1, 0.5)
    ([True, True, False], 0.5, True)
    """

    __slots__ = ("_size", "_speed", "_tokens", "_updated")

    def __init__(self, rate: Rate, now: float) -> None:
        self._size = self._tokens = rate.burst_size
        self._speed = rate.per_second
        self._updated = now

    def take(self, amount: float, now: float) -> bool:
        """Take so many tokens out; return whether there were so many, and leave them all if not."""
        self._fill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def wait(self, amount: float) -> float:
        """Return how long it takes until so many tokens are there, from the last call with a time on."""
        return max(amount - self._tokens, 0.0) / self._speed

    def is_full(self, now: float) -> bool:
        """Tell whether it is as good as new."""
        self._fill(now)
        return self._tokens >= self._size

    def _fill(self, now: float) -> None:
        # A clock that stands still or goes back fills nothing.
        self._tokens = min(self._tokens + max(now - self._updated, 0.0) * self._speed, self._size)
        self._updated = now


class BucketTable:
    """
    Token buckets by what they are for, such as client addresses, and never more than so many.

    A bucket that is full is as good as none, so those are forgotten first. When there are more than
    ``size`` of the others, the one that was longest not asked for begins anew.

    Args:
        size: Most buckets.
    """

    __slots__ = ("_buckets", "size")

    def __init__(self, size: int = 10_000) -> None:
        self.size = size
        self._buckets: OrderedDict[tuple[Hashable, Rate], TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, rate: Rate, now: float) -> float:
        """
        Let one thing happen, if it may.

        Args:
            key: Whose bucket it comes from; each rate has buckets of its own.
            rate: How often it may happen.
            now: The time.

        Returns:
            0 when it may; else in how many seconds it may.
        """
        buckets = self._buckets
        bucket = buckets.get((key, rate))
        if bucket is None:
            bucket = buckets[key, rate] = TokenBucket(rate, now)
        else:
            buckets.move_to_end((key, rate))
        wait = 0.0 if bucket.take(1, now) else bucket.wait(1)
        self._sweep(now)
        return wait

    def _sweep(self, now: float) -> None:
        buckets = self._buckets
        for _ in range(min(_SWEEP, len(buckets))):
            oldest = next(iter(buckets))
            if not (len(buckets) > self.size or buckets[oldest].is_full(now)):
                break
            del buckets[oldest]
