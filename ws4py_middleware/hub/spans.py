"""How much of a room is kept: a number of messages, or what is not older than a time."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["MAX_COUNT", "History", "Span", "parse_history", "parse_span"]

#: What a hub takes as ``history``.
History = int | str | Callable[[str], "int | str | None"]
#: Most messages that are kept of a room, also where a time says how many.
MAX_COUNT = 100_000

_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|min|h|d)\s*")


class Span(NamedTuple):
    """How much is kept."""

    max_count: int = MAX_COUNT
    #: ``None`` for however long.
    seconds: float | None = None


def parse_span(text: int | str | None) -> Span | None:
    """
    Read what ``history`` says of one room; ``None`` is none.

    >>> parse_span(100), parse_span("5 min")
    (Span(max_count=100, seconds=None), Span(max_count=100000, seconds=300.0))

    Raises:
        TypeError, ValueError: It is neither a number of messages nor a time.
    """
    if text is None:
        return None
    if isinstance(text, bool) or not isinstance(text, int | str):
        raise TypeError(f'history is a number of messages, or a time such as "5 min", not {text!r}')
    if isinstance(text, int):
        if not 0 < text <= MAX_COUNT:
            raise ValueError(f"a history has 1 to {MAX_COUNT} messages, not {text}")
        return Span(text)
    match = _TIME.fullmatch(text)
    if match is None or not float(match[1]):
        raise ValueError(f'a history is as long as "30 s", "5 min", "12 h" or "7 d", not {text!r}')
    return Span(seconds=float(match[1]) * _SECONDS[match[2]])


def parse_history(history: History) -> Callable[[str], Span | None]:
    """
    Return what tells how much of a room is kept; a callable is asked once for each room.

    Raises:
        TypeError, ValueError: As :func:`parse_span`; what a callable returns is looked at when it is asked.
    """
    if callable(history):
        ask = history
        return functools.lru_cache(maxsize=10_000)(lambda room: parse_span(ask(room)))
    span = parse_span(history)
    return lambda room: span
