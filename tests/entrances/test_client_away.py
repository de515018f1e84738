"""client.away and client.dialers: what waits for the next connection, and who dials for many."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.entrances.phoenix import no_threads_stay
from ws4py_middleware.client.away import AwayQueue
from ws4py_middleware.client.dialers import Dialers
from ws4py_middleware.core.policy import Policy

# --- messages that wait ----------------------------------------------------------------------------------


def take_all(queue: AwayQueue) -> list[bytes]:
    taken = []
    while (first := queue.first()) is not None:
        taken.append(first[0])
        queue.take()
    assert queue.size == 0
    return taken


def make_queue(policy: Any, messages: int, size: int = 100) -> AwayQueue:
    return AwayQueue(Policy(queue_policy=policy, write_limit=messages * (size + 14)))


@pytest.mark.parametrize(
    ("policy", "expected", "settled"),
    [
        ("block", [0, 1, 2], False),
        ("disconnect", [0, 1, 2], False),
        ("drop-newest", [0, 1, 2], True),
        ("drop-oldest", [2, 3, 4], True),
    ],
)
def test_the_policy_decides_at_the_bound(policy: str, expected: list[int], settled: bool) -> None:
    queue = make_queue(policy, 3)
    messages = [bytes([number]) * 100 for number in range(5)]
    results = [queue.put(message, False) for message in messages]
    assert results == [True] * 3 + [settled] * 2
    assert len(queue) == 3
    assert take_all(queue) == [messages[number] for number in expected]


def test_text_stays_text_and_a_queue_that_was_emptied_takes_on() -> None:
    queue = make_queue("block", 1)
    assert queue.first() is None
    assert queue.put(b"x" * 100, True)
    assert not queue.put(b"", False)
    assert queue.first() == (b"x" * 100, True)
    queue.clear()
    assert (len(queue), queue.size, queue.first()) == (0, 0, None)
    assert queue.put(b"", False)


@pytest.mark.parametrize("policy", ["block", "disconnect", "drop-newest", "drop-oldest"])
def test_a_single_message_may_be_larger_than_the_bound(policy: str) -> None:
    queue = make_queue(policy, 1)
    assert queue.put(b"x" * 1000, False)
    queue.put(b"y", False)
    assert take_all(queue) == [b"y" if policy == "drop-oldest" else b"x" * 1000]


@given(
    policy=st.sampled_from(["block", "disconnect", "drop-newest", "drop-oldest"]),
    limit=st.integers(1, 1000),
    sizes=st.lists(st.integers(0, 400)),
)
def test_no_more_waits_than_the_bound_and_in_order(policy: Any, limit: int, sizes: list[int]) -> None:
    queue = AwayQueue(Policy(queue_policy=policy, write_limit=limit))
    messages = [number.to_bytes(2, "big") + bytes(size) for number, size in enumerate(sizes)]
    for message in messages:
        queue.put(message, False)
        assert queue.size <= limit or len(queue) == 1
    kept = take_all(queue)
    assert kept == sorted(kept)
    assert set(kept) <= set(messages)


# --- those who dial --------------------------------------------------------------------------------------


def test_errands_are_done_at_their_time_and_nobody_stays() -> None:
    with no_threads_stay():
        dialers = Dialers()
        done: list[tuple[int, float]] = []
        finished = threading.Event()
        began = time.monotonic()

        def make(number: int) -> Any:
            def errand() -> None:
                done.append((number, time.monotonic() - began))
                if len(done) == 3:
                    finished.set()

            return errand

        for number in (3, 1, 2):
            dialers.later(began + number / 20, make(number))
        assert finished.wait(10)
        assert [number for number, _ in done] == [1, 2, 3]
        assert all(when >= number / 20 for number, when in done)


def test_one_that_was_cancelled_is_not_done_and_keeps_no_thread() -> None:
    with no_threads_stay():
        dialers = Dialers()
        dialers.later(time.monotonic() + 60, pytest.fail)
        dialers.cancel(pytest.fail)


def test_no_more_work_at_once_than_there_may_and_all_is_done(caplog: pytest.LogCaptureFixture) -> None:
    with no_threads_stay():
        dialers = Dialers(limit=3)
        lock = threading.Lock()
        at_once = most = done = 0
        finished = threading.Event()

        def make(number: int) -> Any:
            def errand() -> None:
                nonlocal at_once, most, done
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                time.sleep(0.002)
                with lock:
                    at_once -= 1
                    done += 1
                    if done == 40:
                        finished.set()
                if number == 7:
                    raise ValueError("a fault costs one errand, and not the thread")

            return errand

        for number in range(40):
            dialers.later(time.monotonic(), make(number))
        assert finished.wait(10)
        assert most == 3
    assert [record.getMessage() for record in caplog.records] == ["a fault of ours in connecting again"]
