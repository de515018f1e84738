"""What to do while something is away: when to try again, and how often to speak of it."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable

__all__ = ["Bell", "Complaints", "Delays", "keep_connected"]

logger = logging.getLogger("ws4py_middleware")


class Delays:
    """
    How long to wait before the next attempt to connect: from 0.1 s up to 10 s, with jitter.

    In the first minute of an outage it is never more than 0.4 s, so that everyone has found what has only
    been restarted within half a second.
    """

    FIRST, SOON, LONGEST = 0.1, 0.4, 10.0
    #: Seconds in which an outage is short.
    SHORT = 60.0

    def __init__(self) -> None:
        self._since: float | None = None
        self._delay = self.FIRST

    def reset(self) -> None:
        """Begin anew: it is back."""
        self._since = None
        self._delay = self.FIRST

    def next(self, now: float) -> float:
        """Return how long to wait after a failure at a time (monotonic)."""
        if self._since is None:
            self._since = now
        limit = self.SOON if now - self._since < self.SHORT else self.LONGEST
        delay = min(self._delay, limit)
        self._delay = min(2 * delay, self.LONGEST)
        return delay * random.uniform(0.5, 1.0)  # it keeps processes apart


class Complaints:
    """Log at most one line a minute of each kind, and how often the same happened before."""

    EVERY = 60.0

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.RLock()  # reentrant for the handlers of signals
        self._kinds: dict[str, tuple[float, int]] = {}

    def tell(self, kind: str, text: str, *values: object) -> None:
        """Log a warning, or count it."""
        now = time.monotonic()
        with self._lock:
            at, more = self._kinds.get(kind, (-self.EVERY, 0))
            if now - at < self.EVERY:
                self._kinds[kind] = (at, more + 1)
                return
            self._kinds[kind] = (now, 0)
        if more:
            text += " (and %d times since this was last said)"
            values = (*values, more)
        self._logger.warning(text, *values)


class Bell:
    """Lets those who pause go on at once: what one has found to be back, the other need not wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def ring(self) -> None:
        """Wake all who wait at this moment."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Wait so many seconds, or until it rings."""
        with self._changed:
            before = self._count
            self._changed.wait_for(lambda: self._count != before, timeout)


def keep_connected(
    serve: Callable[[Callable[[], None]], None], lose: Callable[[str], None], pause: Callable[[float], bool]
) -> None:
    """
    Connect again and again.

    Args:
        serve: Connects, and returns when all is over. It is given what it calls when it is connected.
        lose: Is told why ``serve`` came to a bad end.
        pause: Waits so many seconds, and returns whether to go on.
    """
    from redis.exceptions import RedisError

    delays = Delays()
    said_at = -math.inf
    while True:
        try:
            serve(delays.reset)
            return
        except (RedisError, OSError) as error:
            lose(str(error) or type(error).__name__)
        except Exception as error:  # also of redis-py, at what is no answer of a Redis: again and again
            if time.monotonic() - said_at >= Complaints.EVERY:
                said_at = time.monotonic()
                logger.exception("an unexpected error; the connection to the Redis is made anew")
            lose(repr(error))
        if not pause(delays.next(time.monotonic())):
            return
