from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ws4py_middleware.testing import RealClock, VirtualClock


class Alarm:
    """An actor that rings at certain times."""

    def __init__(self, clock: VirtualClock, *times: float) -> None:
        self.clock = clock
        self.times = sorted(clock() + when for when in times)
        self.began = clock()
        self.rung: list[float] = []
        self.busy = False

    def step(self) -> bool:
        if self.times and self.times[0] <= self.clock():
            self.times.pop(0)
            self.rung.append(round(self.clock() - self.began, 6))
            return True
        return False

    def next_deadline(self) -> float | None:
        return self.times[0] if self.times else None

    def is_busy(self) -> bool:
        return self.busy

    def fileno(self) -> int:
        return -1


def make(*times: float) -> tuple[VirtualClock, Alarm]:
    clock = VirtualClock(patience=0.2)
    alarm = Alarm(clock, *times)
    clock.attach(alarm)
    return clock, alarm


def test_advance_stops_at_each_deadline_on_the_way() -> None:
    clock, alarm = make(1, 2.5, 3, 10)
    clock.advance(3)
    assert alarm.rung == [1, 2.5, 3]
    assert clock() == alarm.began + 3


def test_advance_in_pieces_reaches_what_one_step_reaches() -> None:
    clock, alarm = make(0.3)
    for _ in range(3):
        clock.advance(0.1)
    assert alarm.rung == [0.3]


def test_advance_backwards_is_an_error() -> None:
    for clock in (VirtualClock(), RealClock()):
        with pytest.raises(ValueError, match="cannot go back by 1 s"):
            clock.advance(-1)


def test_run_goes_no_further_than_it_has_to() -> None:
    clock, alarm = make(1, 2, 50)
    assert clock.run(lambda: len(alarm.rung) == 2, 60)
    assert clock() == alarm.began + 2
    assert not clock.run(lambda: False, 10)
    assert clock() == alarm.began + 12
    assert alarm.rung == [1, 2]


def test_run_reaches_what_is_due_at_its_end() -> None:
    clock, alarm = make(5)
    assert clock.run(lambda: bool(alarm.rung), 5)


def test_actors_that_never_rest_are_an_error() -> None:
    clock, _ = make(*[0] * 11_000)
    with pytest.raises(RuntimeError, match="more to do"):
        clock.advance(0)


def test_threads_of_which_nothing_is_known_are_waited_for() -> None:
    clock, _ = make()
    done = threading.Event()

    def work() -> None:
        done.set()
        clock.ring()

    timer = threading.Timer(0.02, work)
    timer.start()
    began = clock()
    assert clock.run(done.is_set, 3600)
    assert clock() == began
    timer.join()


def test_threads_that_are_known_to_be_at_work_hold_the_clock_for_a_while() -> None:
    clock, alarm = make()
    alarm.busy = True
    began = time.monotonic()
    clock.advance(1)
    assert time.monotonic() - began >= 0.19


def test_detached_actor_takes_no_part() -> None:
    clock, alarm = make(1)
    clock.detach(alarm)
    clock.detach(alarm)
    clock.advance(5)
    assert not alarm.rung


@pytest.mark.parametrize("make_clock", [VirtualClock, RealClock])
def test_clocks_are_alike(make_clock: Callable[[], VirtualClock | RealClock]) -> None:
    clock = make_clock()
    began = clock()
    clock.advance(0.02)
    assert clock() - began >= 0.019
    assert not clock.run(lambda: False, 0.01)
    assert clock.run(lambda: True, 0)
