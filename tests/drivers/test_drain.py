"""The plan of a drain: when each is closed, how that fits into a limit, and who is cut."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ws4py_middleware.core.policy import Policy
from ws4py_middleware.drain import GOING_AWAY, RESTART, Drain, Ending


class Link:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy


class Member:
    def __init__(self, manager: Manager, **options: Any) -> None:
        self.manager = manager
        self._link = Link(Policy(**options)) if options else None
        self.seen: list[Any] = []
        manager.members.append(self)

    def close(self, code: int, reason: str) -> None:
        self.seen.append((code, reason))

    def terminate(self) -> None:
        self.seen.append("cut")
        self.manager.members.remove(self)


class Broken(Member):
    def close(self, code: int, reason: str) -> None:
        raise ZeroDivisionError("in the application's own close()")

    def terminate(self) -> None:
        super().terminate()
        raise ZeroDivisionError("in the application's own terminate()")


class Manager:
    def __init__(self) -> None:
        self.members: list[Member] = []
        self.times: list[float] = []

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def schedule(self, owner: object, when: float) -> None:
        self.times.append(when)


def closed(manager: Manager) -> int:
    return sum(bool(member.seen) for member in manager.members)


def test_each_has_its_moment_and_who_is_left_is_cut_after_the_grace_time() -> None:
    manager = Manager()
    members = [Member(manager) for _ in range(4)]
    drain = Drain(manager, RESTART, 100.0, window=8.0, grace=3.0)
    assert [(drain.step(now), closed(manager)) for now in (100.0, 101.0, 102.0, 105.0, 106.0)] == [
        (102.0, 1),
        (102.0, 1),
        (104.0, 2),
        (106.0, 3),
        (111.0, 4),
    ]
    manager.members.remove(members[0])  # it has answered
    assert drain.step(110.9) == 111.0
    assert [drain.step(now) for now in (111.0, 112.0)] == [None, None]
    assert drain.is_over
    assert [member.seen for member in members] == [[RESTART], *[[RESTART, "cut"]] * 3]


def test_policies_of_the_members_say_how_long() -> None:
    manager = Manager()
    Member(manager, drain_window=10.0, drain_grace=1.0)
    slow = Member(manager, drain_window=20.0, drain_grace=2.0)
    Member(manager)  # of another class, or by hand: the defaults
    drain = Drain(manager, GOING_AWAY, 0.0)
    assert drain.step(0.0) == 20.0 / 3
    assert closed(manager) == 2
    assert drain.step(7.0) == 22.0
    assert slow.seen == [GOING_AWAY]
    assert drain.step(22.0) is None


@pytest.mark.parametrize(
    ("window", "grace", "limit", "moments", "end"),
    [
        (8.0, 2.0, 10.0, [0.0, 4.0], 10.0),
        (8.0, 2.0, 6.0, [0.0, 2.0], 6.0),
        (8.0, 20.0, 6.0, [0.0, 1.5], 6.0),
        (0.0, 1.0, 6.0, [0.0, 0.0], 1.0),
        (5.0, 1.0, 0.0, [0.0, 0.0], 0.0),
    ],
)
def test_what_does_not_fit_is_made_to(
    window: float, grace: float, limit: float, moments: list[float], end: float
) -> None:
    manager = Manager()
    members = [Member(manager), Member(manager)]
    drain = Drain(manager, GOING_AWAY, 0.0, window=window, grace=grace, limit=limit)
    seen: dict[Member, float] = {}
    last: Any = None
    now: Any = 0.0
    while now is not None:
        last, now = now, drain.step(now)
        for member in members:
            if member.seen:
                seen.setdefault(member, last)
    assert [seen[member] for member in members] == moments
    assert last == end
    assert all(member.seen == [GOING_AWAY, "cut"] for member in members)


def test_hurry_closes_the_rest_at_once_if_it_is_one() -> None:
    manager = Manager()
    for _ in range(4):
        Member(manager)
    drain = Drain(manager, GOING_AWAY, 0.0, window=8.0, grace=2.0)
    drain.step(0.0)
    drain.hasten(9.99)
    drain.hasten(20.0)
    assert closed(manager) == 1
    drain.hasten(5.0)
    assert closed(manager) == 4
    assert drain.step(1.0) == 5.0


def test_who_comes_later_is_cut_at_the_end_unless_nobody_is_refused() -> None:
    for final in (True, False):
        manager = Manager()
        first = Member(manager)
        drain = Drain(manager, RESTART, 0.0, window=0.0, grace=1.0, final=final)
        drain.step(0.0)
        late = Member(manager)
        drain.step(1.0)
        assert first.seen == [RESTART, "cut"]
        assert late.seen == (["cut"] if final else [])


def test_as_a_timer_it_comes_back_until_it_is_over() -> None:
    manager = Manager()
    for _ in range(2):
        Member(manager)
    drain = Drain(manager, RESTART, 0.0, window=4.0, grace=1.0)
    for now in (0.0, 2.0, 5.0, 6.0):
        drain.on_deadline(now)
    assert manager.times == [2.0, 5.0]
    drain = Drain(manager, RESTART, 10.0)
    drain.on_deadline(10.0)
    assert manager.times == [2.0, 5.0]  # there was nobody


def test_errors_of_one_are_logged_and_the_others_are_closed(caplog: pytest.LogCaptureFixture) -> None:
    manager = Manager()
    Broken(manager)
    good = Member(manager)
    drain = Drain(manager, RESTART, 0.0, grace=1.0)
    drain.step(0.0)
    drain.step(1.0)
    assert good.seen == [RESTART, "cut"]
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["closed", "ended"]
    drain.on_fault(ZeroDivisionError("ours"))
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parametrize(
    ("ending", "options", "message"),
    [
        (Ending(1005, ""), {}, "1005"),
        (RESTART, {"window": -1.0}, "window is -1"),
        (RESTART, {"grace": -0.1}, "grace is -0.1"),
        (RESTART, {"limit": -1.0}, "timeout is -1"),
    ],
)
def test_what_makes_no_sense_is_an_error(ending: Ending, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Drain(Manager(), ending, 0.0, **options)  # type: ignore[arg-type]
