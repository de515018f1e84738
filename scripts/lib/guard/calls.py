"""System calls a message, counted by strace in a server that is warm."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.guard.load import Load
from tests.promises.attacker import upgrade
from tests.servers import Server

__all__ = ["GROUPS", "count_calls", "counting", "group", "parse_summary"]

#: What is limited, and the calls that are it; all else is "other". What sleeps goes by the clock, and is not.
GROUPS = {
    "receive": {"recvfrom", "recvmsg", "recvmmsg", "read", "readv"},
    "send": {"sendto", "sendmsg", "sendmmsg", "write", "writev"},
    "wait": {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"},
    "futex": {"futex"},
    "sleep": {"nanosleep", "clock_nanosleep"},
}

#: How long strace may take to find all threads, and to write its summary; seconds.
_PATIENCE = 20.0


def parse_summary(summary: str) -> Counter[str]:
    """
    Read what ``strace -c`` writes.

    >>> parse_summary('''% time     seconds  usecs/call     calls    errors syscall
    ... ------ ----------- ----------- --------- --------- ----------------
    ...  60.00    0.000300           3       100           sendto
    ...  40.00    0.000200           2       101         1 recvfrom
    ... ------ ----------- ----------- --------- --------- ----------------
    ... 100.00    0.000500           2       201         1 total
    ... ''')
    Counter({'recvfrom': 101, 'sendto': 100})
    """
    counts: Counter[str] = Counter()
    for line in summary.splitlines():
        words = line.split()
        if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
            counts[words[-1]] += int(words[3])
    return counts


@contextlib.contextmanager
def counting(pid: int) -> Iterator[Counter[str]]:
    """
    Count the system calls of a process, all its threads included, while the block runs.

    Yields:
        The calls by their names; filled when the block has ended.

    Raises:
        RuntimeError: The system does not let us see them.
    """
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        summary, said = Path(folder) / "summary", Path(folder) / "said"
        with said.open("wb") as log:
            command = ["strace", "-f", "-c", "-o", str(summary), "-p", str(pid)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + _PATIENCE
            while b"attached" not in said.read_bytes():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"strace cannot attach: {said.read_text().strip()}")
                time.sleep(0.01)
            yield counts
            process.send_signal(signal.SIGINT)  # it lets go of the process, and writes its summary
            process.wait(_PATIENCE)
            counts += parse_summary(summary.read_text())
        finally:
            process.kill()
            process.wait()


def count_calls(server: Server, load: Load, rounds: int) -> dict[str, float]:
    """Return how many system calls of each group a server makes for a message."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(upgrade(server, load.path)) for _ in range(load.connections)]
        load.greet(peers)
        sockets = [peer.sock for peer in peers]
        load.play(sockets, 3)
        with counting(server.pid) as counts:
            messages = load.play(sockets, rounds)
    return {name: calls / messages for name, calls in group(counts).items()}


def group(counts: Counter[str]) -> dict[str, int]:
    """
    Add up calls by group.

    >>> group(Counter(read=1, recvfrom=4, futex=2, madvise=3))
    {'receive': 5, 'send': 0, 'wait': 0, 'futex': 2, 'sleep': 0, 'other': 3}
    """
    grouped = {name: sum(counts[call] for call in calls) for name, calls in GROUPS.items()}
    return grouped | {"other": counts.total() - sum(grouped.values())}
