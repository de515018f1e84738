"""
When to connect again, and whether at all: decisions, without a socket and without a clock.

::

    client = WebSocketBaseClient("wss://example.com/feed", reconnect=Backoff(maximum=60))

What ends a connection, or an attempt at one, is told as an exception, the *cause*: a
:exc:`~ws4py_middleware.exc.ConnectionClosed` with the close code, the
:exc:`~ws4py_middleware.exc.HandshakeError` of a server that refused, or an :exc:`OSError`.
"""

from __future__ import annotations

import dataclasses
import random
import ssl
from collections.abc import Callable, Iterable
from datetime import timezone
from email.utils import parsedate_to_datetime

from ..core.headers import get_all
from ..exc import ConnectionClosed, HandshakeError

__all__ = ["RETRIED_CODES", "Backoff", "make_backoff", "parse_retry_after"]

#: Close codes after which the same request may well succeed: the server goes away, restarts, is
#: overloaded or has failed; the connection was lost; a proxy found no server behind it.
RETRIED_CODES = frozenset({1001, 1006, 1011, 1012, 1013, 1014})

#: Statuses below 500 that say "later"; 0 stands for a server that went away without an answer.
_RETRIED_STATUSES = frozenset({0, 408, 425, 429})

#: Of those from 500 on, the two that no waiting helps: Not Implemented, HTTP Version Not Supported.
_FINAL_STATUSES = frozenset({501, 505})

#: ``Retry-After`` is honoured up to so many times ``maximum``: a server's typing error is no reason to
#: be away for a year.
_PATIENCE = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backoff:
    """
    How a client connects again: soon at first, then at growing intervals, and not with all others.

    Attempt ``n`` is made after a random time between 0 and ``initial * factor ** (n - 1)`` seconds,
    never more than ``maximum``. A server's ``Retry-After`` comes before that, in seconds or as a date.
    The count begins anew when a connection has lived for ``maximum`` seconds.

    Raises:
        ValueError: A number is out of its range.
        TypeError: A value is of the wrong type.

    >>> [Backoff(jitter=False).delay(attempt) for attempt in (1, 2, 3, 4, 100)]
    [0.5, 1.0, 2.0, 4.0, 30.0]
    """

    #: Longest time before the first attempt; seconds.
    initial: float = 0.5
    #: Longest time before any attempt; seconds. ``Retry-After`` may ask for ten times as much.
    maximum: float = 30.0
    #: What the longest time grows by with each attempt.
    factor: float = 2.0
    #: Whether the time is drawn from all between nothing and the longest; without it, it is the longest.
    jitter: bool = True
    #: Most attempts in a row; ``None`` is no end.
    attempts: int | None = None
    #: Whether ``connect()`` itself goes on when its first attempt fails.
    first: bool = False

    def __post_init__(self) -> None:
        for name in ("initial", "maximum", "factor"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise TypeError(f"{name} is {value!r}; it is a number")
        if not 0 < self.initial < float("inf"):
            raise ValueError(f"initial is {self.initial}; it is a number of seconds above 0")
        if not self.initial <= self.maximum < float("inf"):
            raise ValueError(
                f"maximum is {self.maximum}; it is a number of seconds, and at least initial, {self.initial}"
            )
        if not 1 <= self.factor < float("inf"):
            raise ValueError(f"factor is {self.factor}; it is at least 1")
        if self.attempts is not None:
            if not isinstance(self.attempts, int) or isinstance(self.attempts, bool):
                raise TypeError(f"attempts is {self.attempts!r}; it is a whole number, or None for no end")
            if self.attempts < 1:
                raise ValueError(f"attempts is {self.attempts}; it is at least 1, or None for no end")
        for name in ("jitter", "first"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}; it is True or False")

    def delay(
        self, attempt: int, retry_after: float | None = None, *, draw: Callable[[], float] = random.random
    ) -> float:
        """
        Return how long to wait before an attempt; seconds.

        Args:
            attempt: 1 for the first after a connection.
            retry_after: What the server asked for; those whom it told the same come back one by one.
            draw: Random numbers from 0 to 1.
        """
        try:
            longest = min(self.maximum, self.initial * self.factor ** (attempt - 1))
        except OverflowError:
            longest = self.maximum
        asked = min(retry_after or 0.0, _PATIENCE * self.maximum)
        return asked + (longest * draw() if self.jitter else longest)

    def retries(self, cause: BaseException) -> bool:
        """
        Tell whether to connect again after something; a subclass may know better about a code of its own.

        >>> from ws4py_middleware.exc import ConnectionClosed, HandshakeError
        >>> Backoff().retries(ConnectionClosed("the server restarts", 1012))
        True
        >>> Backoff().retries(HandshakeError("forbidden", 403))
        False
        """
        if isinstance(cause, ConnectionClosed):
            return cause.code in RETRIED_CODES
        if isinstance(cause, HandshakeError):
            status = cause.status
            return status in _RETRIED_STATUSES or (500 <= status < 600 and status not in _FINAL_STATUSES)
        # To whom a certificate does not belong today, it does not in a second.
        return isinstance(cause, OSError) and not isinstance(cause, ssl.SSLCertVerificationError)


def make_backoff(reconnect: Backoff | bool | None) -> Backoff | None:
    """
    Return what the argument ``reconnect`` of a client means.

    Raises:
        TypeError: It is neither a :class:`Backoff` nor true or false.
    """
    if isinstance(reconnect, Backoff):
        return reconnect
    if reconnect is None or isinstance(reconnect, bool):
        return Backoff() if reconnect else None
    raise TypeError(f"reconnect is {reconnect!r}; it is True, False or Backoff(...)")


def parse_retry_after(headers: Iterable[tuple[str, str]], now: float) -> float | None:
    """
    Return how many seconds a server wants to be left alone, :rfc:`9110#section-10.2.3`.

    Args:
        headers: The headers of its answer.
        now: Seconds since 1970; a server may name a date.

    Returns:
        0 for a date in the past; ``None`` when it did not say, or nothing that can be understood.

    >>> parse_retry_after([("Retry-After", "120")], now=0)
    120.0
    >>> parse_retry_after([("Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT")], now=0)
    60.0
    """
    for value in get_all(headers, "Retry-After"):
        if value.isascii() and value.isdecimal():
            return float(value[:9]) if len(value) <= 9 else 1e9
        try:
            date = parsedate_to_datetime(value)
            if date.tzinfo is None:
                date = date.replace(tzinfo=timezone.utc)  # "-0000", which is no zone at all
            return max(date.timestamp() - now, 0.0)
        except (ValueError, TypeError, OverflowError):
            continue
    return None
