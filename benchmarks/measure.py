"""
What the kernel says of a process: CPU time, memory, threads, children (Linux, ``/proc``).

CPU time is asked of the *server*, not of the clock: it hardly changes when somebody else uses the machine.
"""

from __future__ import annotations

import http.client
import os
import re
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "CPUTime",
    "Memory",
    "children",
    "cpu_time",
    "http_latency",
    "median",
    "memory",
    "parse_parent",
    "parse_rollup",
    "parse_stat",
    "parse_status",
    "ran",
    "rests",
    "threads",
    "tree",
]

PROC = Path("/proc")


class CPUTime(NamedTuple):
    """CPU time of one or more processes, in seconds."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """User and system time together."""
        return self.user + self.system

    def since(self, earlier: CPUTime) -> CPUTime:
        """Return what was used between `earlier` and this."""
        return CPUTime(self.user - earlier.user, self.system - earlier.system)


class Memory(NamedTuple):
    """Memory of one or more processes, in bytes; shared pages count whole in `rss`, by share in `pss`."""

    rss: int
    pss: int


def _fields(stat: str) -> list[str]:
    # The name of the command stands in parentheses and may itself hold spaces and parentheses.
    return stat[stat.rindex(")") + 2 :].split()


def parse_stat(stat: str, ticks: int = 100) -> CPUTime:
    """
    Read the CPU time out of the text of ``/proc/PID/stat``; `ticks` is the clock ticks a second.

    >>> parse_stat("7 (a) b) S 1 7 7 0 -1 4194304 10 0 0 0 250 50 0 0 20 0 2 0 1 2 3", 100)
    CPUTime(user=2.5, system=0.5)
    """
    fields = _fields(stat)
    return CPUTime(int(fields[11]) / ticks, int(fields[12]) / ticks)


def parse_parent(stat: str) -> int:
    """Read the parent's process id out of the text of ``/proc/PID/stat``."""
    return int(_fields(stat)[1])


def parse_status(status: str) -> dict[str, str]:
    """Read the text of ``/proc/PID/status`` into a dictionary."""
    pairs = (line.partition(":") for line in status.splitlines())
    return {name: value.strip() for name, colon, value in pairs if colon}


def parse_rollup(rollup: str) -> Memory:
    """Read the text of ``/proc/PID/smaps_rollup``."""
    sizes = {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.MULTILINE)}
    return Memory(sizes["Rss"], sizes["Pss"])


def cpu_time(pids: Iterable[int]) -> CPUTime:
    """Return the CPU time of these processes since they were born, ended threads included."""
    ticks = os.sysconf("SC_CLK_TCK")
    times = [parse_stat((PROC / str(pid) / "stat").read_text(), ticks) for pid in pids]
    return CPUTime(sum(t.user for t in times), sum(t.system for t in times))


def ran(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the threads that these processes have now, to the nanosecond."""
    tasks = (task for pid in pids for task in (PROC / str(pid) / "task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rests(pids: Iterable[int], timeout: float, step: float = 0.02, share: float = 0.1) -> bool:
    """
    Wait until these processes use less than `share` of a core, measured over `step` seconds.

    Returns:
        Whether they came to rest within `timeout` seconds; a process that has ended does not.
    """
    pids = list(pids)
    deadline = time.monotonic() + timeout
    before: float | None = None
    while time.monotonic() < deadline:
        now: float | None = None
        try:
            now = ran(pids)
        except (FileNotFoundError, ProcessLookupError):  # of a thread that has just ended
            if not all((PROC / str(pid)).exists() for pid in pids):
                return False
        if now is not None and before is not None and now - before < step * share:
            return True
        before = now
        time.sleep(step)
    return False


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of these processes now."""
    sizes = [parse_rollup((PROC / str(pid) / "smaps_rollup").read_text()) for pid in pids]
    return Memory(sum(size.rss for size in sizes), sum(size.pss for size in sizes))


def threads(pids: Iterable[int]) -> int:
    """Return how many threads the largest of these processes has."""
    return max(int(parse_status((PROC / str(pid) / "status").read_text())["Threads"]) for pid in pids)


def children(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`, lowest first."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = parse_parent((entry / "stat").read_text())
        except (OSError, ValueError):  # it ended while we looked
            continue
        if parent == pid:
            found.append(int(entry.name))
    return sorted(found)


def tree(pid: int) -> list[int]:
    """Return `pid` and all that descend from it."""
    found = [pid]
    for parent in found:  # grows while we walk it
        found.extend(children(parent))
    return found


def http_latency(port: int, requests: int, timeout: float = 10.0) -> list[float]:
    """
    Ask for ``/`` one request after the other, each on a fresh connection.

    Returns:
        The seconds that each took, from ``connect`` to the end of the answer; empty when the server
        answers with anything but 200, or not at all.
    """
    taken = []
    for _ in range(requests):
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return []
        finally:
            connection.close()
        if answer.status != 200:
            return []
        taken.append(time.perf_counter() - began)
    return taken


def median(values: Iterable[float]) -> float | None:
    """Return the median, or None when there is no value."""
    values = list(values)
    return statistics.median(values) if values else None
