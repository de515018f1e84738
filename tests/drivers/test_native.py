"""What every message needs of the system, in whichever build this is."""

from __future__ import annotations

import _thread
import threading
import time

import pytest

from ws4py_middleware.native import Lock, get_ident, monotonic


def test_clock_is_pythons() -> None:
    before = time.monotonic()
    now = monotonic()
    assert before <= now <= time.monotonic()


def test_ident_is_pythons() -> None:
    assert get_ident() == _thread.get_ident()


def test_lock_is_had_by_one_thread_at_a_time() -> None:
    lock = Lock()
    count = 0

    def work() -> None:
        nonlocal count
        for number in range(2000):
            with lock, lock:
                seen = count
                if number % 50 == 0:
                    time.sleep(0)  # the others run, and wait
                count = seen + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 4 * 2000


def test_lock_goes_to_who_waits_and_back() -> None:
    lock = Lock()
    told: list[str] = []
    has_it, is_done = threading.Event(), threading.Event()

    def other() -> None:
        assert lock.acquire(False) is False
        has_it.set()
        with lock:
            told.append("other")
        is_done.set()

    lock.acquire()
    lock.acquire()
    thread = threading.Thread(target=other)
    thread.start()
    assert has_it.wait(10)
    lock.release()
    assert not is_done.wait(0.02)  # it was taken twice
    told.append("first")
    lock.release()
    thread.join(10)
    assert is_done.is_set()
    with lock:
        told.append("again")
    assert told == ["first", "other", "again"]


def test_lock_is_given_back_by_who_has_it_only() -> None:
    lock = Lock()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()
    errors: list[str] = []

    def other() -> None:
        try:
            lock.release()
        except RuntimeError as error:
            errors.append(str(error))

    with lock:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
    assert errors == ["cannot release un-acquired lock"]


def test_lock_is_free_after_an_exception() -> None:
    lock = Lock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert lock.acquire(False)
    lock.release()
