"""The pool of threads for hooks: bounded, lazy, and nobody waits for its end."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.drivers.peer import wait_until
from ws4py_middleware.pools import DaemonPool


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("test_pool")}


def test_threads_are_started_when_there_is_none_idle_and_never_more_than_the_limit() -> None:
    pool = DaemonPool(2, "test_pool")
    assert names() == set()
    assert pool.submit(pow, 2, 3).result(10) == 8
    wait_until(lambda: pool._idle._value == 1)
    assert pool.submit(int, "11", base=2).result(10) == 3
    assert names() == {"test_pool_1"}
    go_on = threading.Event()
    waiting = [pool.submit(go_on.wait, 10) for _ in range(5)]
    assert names() == {"test_pool_1", "test_pool_2"}
    go_on.set()
    assert [future.result(10) for future in waiting] == [True] * 5
    pool.shutdown()
    wait_until(lambda: names() == set())
    with pytest.raises(RuntimeError, match="has ended"):
        pool.submit(int)


def test_what_is_raised_is_told_to_who_waits_and_the_thread_goes_on() -> None:
    pool = DaemonPool(1, "test_pool")
    with pytest.raises(SystemExit):
        pool.submit(sys.exit).result(10)
    assert pool.submit(int).result(10) == 0
    pool.shutdown()


def test_what_is_cancelled_before_its_turn_is_not_called() -> None:
    pool = DaemonPool(1, "test_pool")
    go_on = threading.Event()
    first = pool.submit(go_on.wait, 10)
    second = pool.submit(pytest.fail, "it was called")
    assert second.cancel()
    go_on.set()
    assert first.result(10)
    assert pool.submit(int).result(10) == 0
    pool.shutdown()


def test_interpreter_ends_without_waiting_for_a_thread_that_blocks() -> None:
    code = "import threading; from ws4py_middleware.pools import DaemonPool; "
    code += "DaemonPool(1, 'x').submit(threading.Event().wait)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=10)
