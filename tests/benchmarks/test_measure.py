from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from benchmarks import measure
from benchmarks.measure import CPUTime, Memory

STAT = "7 (a (b) c) S 41 7 7 0 -1 4194304 10 0 0 0 {user} {system} 900 900 20 0 2 0 1 2 3"


def test_parse_stat_name_with_parentheses_gives_seconds() -> None:
    assert measure.parse_stat(STAT.format(user=250, system=50), ticks=100) == CPUTime(2.5, 0.5)
    assert measure.parse_stat(STAT.format(user=250, system=50), ticks=250) == CPUTime(1.0, 0.2)


def test_parse_parent_name_with_parentheses_gives_parent() -> None:
    assert measure.parse_parent(STAT.format(user=1, system=1)) == 41


def test_cpu_time_since_gives_difference() -> None:
    used = CPUTime(2.5, 0.5).since(CPUTime(1.5, 0.25))
    assert used == CPUTime(1.0, 0.25)
    assert used.total == 1.25


def test_parse_status_gives_names_and_values() -> None:
    status = measure.parse_status("Name:\tpython3\nVmRSS:\t   11412 kB\nThreads:\t4\nno colon\n")
    assert status == {"Name": "python3", "VmRSS": "11412 kB", "Threads": "4"}


def test_parse_rollup_gives_bytes() -> None:
    text = "55d0-7ffd ---p 0 00:00 0   [rollup]\nRss:     11412 kB\nPss:      9000 kB\nPss_Anon: 5 kB\n"
    assert measure.parse_rollup(text) == Memory(rss=11412 * 1024, pss=9000 * 1024)


def test_cpu_time_of_this_process_grows_with_its_work() -> None:
    before = measure.cpu_time([os.getpid()])
    turns = 0
    while measure.cpu_time([os.getpid()]).since(before).total < 0.05:
        turns += 1
    assert turns > 0


def test_ran_of_this_process_grows_with_its_work() -> None:
    before = measure.ran([os.getpid()])
    while measure.ran([os.getpid()]) - before < 0.01:
        pass
    assert before > 0


def test_memory_of_this_process_sees_what_it_takes() -> None:
    before = measure.memory([os.getpid()])
    held = bytearray(b"x") * (32 * 2**20)
    after = measure.memory([os.getpid()])
    assert len(held) <= after.rss - before.rss + 2**20
    assert after.pss <= after.rss


def test_threads_of_this_process_sees_another() -> None:
    before = measure.threads([os.getpid()])
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert measure.threads([os.getpid()]) == before + 1
    finally:
        end.set()
        thread.join()


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """A process with one child, which prints the child's pid."""
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()  # its end of the pipe goes with it, so the child ends too


def test_tree_process_with_child_gives_both(family: subprocess.Popen[str]) -> None:
    assert family.stdout is not None
    child = int(family.stdout.readline())
    assert measure.children(family.pid) == [child]
    assert measure.tree(family.pid) == [family.pid, child]
    assert family.pid in measure.children(os.getpid())


def test_http_latency_nobody_answers_is_empty() -> None:
    assert measure.http_latency(1, requests=1, timeout=1.0) == []


@pytest.mark.parametrize(("values", "expected"), [([], None), ([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0)])
def test_median_gives_middle_or_none(values: list[float], expected: float | None) -> None:
    assert measure.median(values) == expected
