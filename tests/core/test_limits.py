"""core.limits: one object for all connections whose policies have the same numbers."""

from __future__ import annotations

import dataclasses
import math

from ws4py_middleware.core.limits import Limits, find_limits
from ws4py_middleware.core.policy import Policy

OFF = Policy(
    max_message_size=None,
    max_fragments=None,
    max_control_frames=None,
    ping_interval=None,
    ping_timeout=None,
    write_timeout=None,
    close_timeout=None,
)

NAMES = [name for name in Limits.__slots__ if name != "__weakref__"]


def test_policies_with_the_same_numbers_share_theirs() -> None:
    policy = Policy(ping_interval=7.0)
    limits = find_limits(policy)
    assert limits is find_limits(policy.replace(subprotocols=("chat",), open_timeout=1.0))
    assert limits is not find_limits(Policy())


def test_each_number_makes_a_difference() -> None:
    sizes = {
        name: getattr(Policy(), name)
        for name in NAMES
        if name not in ("frame_limit", "idle_timeout", "max_lifetime")
    }
    changed = [Policy(**{name: value + 1}) for name, value in sizes.items()]
    changed += [Policy(max_frame_size=9), Policy(idle_timeout=9.0), Policy(max_lifetime=9.0)]
    found = [find_limits(policy) for policy in (Policy(), *changed)]
    assert len(set(map(id, found))) == len(found)
    assert len(found) == 1 + len(NAMES)


def test_numbers_are_those_of_the_policy() -> None:
    policy = Policy(idle_timeout=9.0, max_lifetime=99.0)
    limits = find_limits(policy)
    assert limits.frame_limit == policy.frame_limit
    names = {field.name for field in dataclasses.fields(Policy)} & set(NAMES)
    assert len(names) == len(NAMES) - 1
    for name in names:
        assert getattr(limits, name) == getattr(policy, name), name


def test_what_is_off_is_out_of_reach() -> None:
    limits = find_limits(OFF)
    sizes = limits.max_message_size, limits.frame_limit, limits.max_fragments, limits.max_control_frames
    assert min(sizes) == 2**63 - 1
    times = limits.ping_interval, limits.ping_timeout, limits.write_timeout, limits.close_timeout
    assert min(*times, limits.idle_timeout, limits.max_lifetime) == math.inf
