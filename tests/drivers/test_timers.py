"""The heap of timers."""

from __future__ import annotations

import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.timers import TimerHeap


class Owner:
    pass


def test_due_owners_come_once_the_earliest_first() -> None:
    heap: TimerHeap[str] = TimerHeap()
    assert heap.next() is None
    assert heap.set("b", 2.0)
    assert not heap.set("c", 3.0)
    assert heap.set("a", 1.0)
    assert len(heap) == 3
    assert heap.next() == 1.0
    assert heap.pop_due(0.9) == []
    assert heap.pop_due(2.0) == ["a", "b"]
    assert heap.pop_due(2.0) == []
    assert heap.next() == 3.0
    assert len(heap) == 1


def test_set_again_moves_and_tells_whether_to_wake() -> None:
    heap: TimerHeap[str] = TimerHeap()
    heap.set("a", 5.0)
    heap.set("b", 3.0)
    assert not heap.set("b", 3.0)
    assert heap.set("a", 1.0)
    assert not heap.set("a", 4.0)
    assert heap.next() == 3.0
    assert heap.pop_due(9.0) == ["b", "a"]


@pytest.mark.cpython
def test_cancelled_owner_is_let_go_of() -> None:
    heap: TimerHeap[Owner] = TimerHeap()
    owner = Owner()
    heap.set(owner, 1e9)
    heap.cancel(owner)
    heap.cancel(owner)
    alive = weakref.ref(owner)
    del owner
    assert alive() is None
    assert heap.next() is None


def test_cancelled_timers_do_not_pile_up() -> None:
    heap: TimerHeap[int] = TimerHeap()
    for number in range(10_000):
        heap.set(number, 1e9)
        heap.cancel(number)
    assert len(heap._heap) < 100


def test_moved_timers_do_not_pile_up() -> None:
    heap: TimerHeap[str] = TimerHeap()
    for number in range(10_000):
        heap.set("a", 1e9 - number)
    assert len(heap) == 1
    assert len(heap._heap) < 100


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 20)))), st.integers(0, 20))
def test_heap_does_what_a_dictionary_does(steps: list[tuple[int, int | None]], now: int) -> None:
    heap: TimerHeap[int] = TimerHeap()
    model: dict[int, int] = {}
    for owner, when in steps:
        if when is None:
            heap.cancel(owner)
            model.pop(owner, None)
        else:
            before = model.copy()
            model[owner] = when
            is_earliest = heap.set(owner, float(when))
            if all(when < other for other in before.values()):
                assert is_earliest
        assert heap.next() == min(model.values(), default=None)
    due = heap.pop_due(float(now))
    assert sorted(due) == sorted(owner for owner, when in model.items() if when <= now)
    assert [model[owner] for owner in due] == sorted(model[owner] for owner in due)
    assert len(heap) == len(model) - len(due)


def test_times_are_rounded_up_and_by_less_than_a_sixty_fourth() -> None:
    heap: TimerHeap[int] = TimerHeap()
    for number in range(100):
        heap.set(number, number / 1000)
    assert len(heap._heap) < 10
    now, late = 0.0, []
    while len(heap):
        when = heap.next()
        assert when is not None
        assert heap.pop_due(when - 0.001) == []
        now = when
        late += [now - number / 1000 for number in heap.pop_due(now)]
    assert len(late) == 100
    assert min(late) >= 0
    assert max(late) < 1 / 64


@pytest.mark.parametrize("count", [2, 31, 32, 33, 1000])
def test_many_at_one_time_come_and_go_one_by_one(count: int) -> None:
    heap: TimerHeap[int] = TimerHeap()
    assert [heap.set(number, 5.0) for number in range(count)] == [True] + [False] * (count - 1)
    for number in range(0, count, 2):
        heap.cancel(number)
    assert not heap.set(1, 6.0)
    assert sorted(heap.pop_due(5.0)) == list(range(3, count, 2))
    assert heap.pop_due(6.0) == [1]
    assert len(heap) == 0
    assert heap.next() is None


def test_time_that_was_given_up_is_taken_again() -> None:
    heap: TimerHeap[str] = TimerHeap()
    heap.set("a", 5.0)
    heap.cancel("a")
    assert heap.set("b", 5.0)
    assert heap.pop_due(9.0) == ["b"]
    assert heap.pop_due(9.0) == []
    assert heap.next() is None


def test_heap_is_safe_from_many_threads() -> None:
    heap: TimerHeap[tuple[int, int]] = TimerHeap()
    taken: list[tuple[int, int]] = []

    def work(number: int) -> None:
        for index in range(500):
            heap.set((number, index), float(index))
            if index % 3 == 0:
                heap.cancel((number, index))
            taken.extend(heap.pop_due(index / 2))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.extend(heap.pop_due(1e9))
    assert len(heap) == 0
    kept = {(number, index) for number in range(4) for index in range(500) if index % 3}
    assert {owner for owner in taken if owner[1] % 3} == kept
    assert len(taken) == len(set(taken))
