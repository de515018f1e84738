"""
Limits: the numbers of a policy that a connection looks at while it is open.

All connections with the same ones share one object, and have a reference instead of a copy of each.
"""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any
from weakref import WeakValueDictionary

from .policy import Policy

__all__ = ["Limits", "find_limits"]

#: A size that is none: no length in a header is larger.
_NO_LIMIT = 0x7FFFFFFFFFFFFFFF

_get_sizes = attrgetter(
    "max_message_size",
    "max_frame_size",
    "max_fragments",
    "max_control_frames",
    "turn_bytes",
    "turn_frames",
    "receive_queue_size",
    "write_high_water",
)
_get_times = attrgetter(
    "turn_time",
    "ping_interval",
    "ping_timeout",
    "write_timeout",
    "close_timeout",
    "idle_timeout",
    "max_lifetime",
)


class Limits:
    """The numbers, by the names that a :class:`~.policy.Policy` has for them; what is off is out of reach."""

    __slots__ = (
        "__weakref__",
        "close_timeout",
        "frame_limit",
        "idle_timeout",
        "max_control_frames",
        "max_fragments",
        "max_lifetime",
        "max_message_size",
        "ping_interval",
        "ping_timeout",
        "receive_queue_size",
        "turn_bytes",
        "turn_frames",
        "turn_time",
        "write_high_water",
        "write_timeout",
    )

    def __init__(self, policy: Policy) -> None:
        self.max_message_size = _as_size(policy.max_message_size)
        self.frame_limit = _as_size(policy.frame_limit)
        self.max_fragments = _as_size(policy.max_fragments)
        self.max_control_frames = _as_size(policy.max_control_frames)
        self.turn_bytes = _as_size(policy.turn_bytes)
        self.turn_frames = _as_size(policy.turn_frames)
        self.receive_queue_size = _as_size(policy.receive_queue_size)
        self.write_high_water = _as_size(policy.write_high_water)
        self.turn_time = _as_time(policy.turn_time)
        self.ping_interval = _as_time(policy.ping_interval)
        self.ping_timeout = _as_time(policy.ping_timeout)
        self.write_timeout = _as_time(policy.write_timeout)
        self.close_timeout = _as_time(policy.close_timeout)
        self.idle_timeout = _as_time(policy.idle_timeout)
        self.max_lifetime = _as_time(policy.max_lifetime)


#: By the numbers: policies come and go, as one is made for each connection whose handler has a heartbeat.
_known: WeakValueDictionary[Any, Limits] = WeakValueDictionary()


def find_limits(policy: Policy) -> Limits:
    """Return the limits of a policy, which others with the same numbers have, too."""
    numbers = _get_sizes(policy), _get_times(policy)
    limits = _known.get(numbers)
    if limits is None:
        limits = _known[numbers] = Limits(policy)
    return limits


def _as_size(value: int | None) -> int:
    return _NO_LIMIT if value is None else min(value, _NO_LIMIT)


def _as_time(value: float | None) -> float:
    return math.inf if value is None else value
