"""A worker seen from outside: during a round, at rest, and what it writes into its log."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path

from scripts.lib.soak.judging import Rest, Round
from tests.promises.attacker import Innocent, Patience, trim, wait_idle
from tests.servers import Server

__all__ = ["LogWatch", "rest", "watch_round"]

#: What handlers of the application raise when they are told to.
ASKED_FOR = "ZeroDivisionError: asked for by the test"


def watch_round(server: Server, until: float) -> Round:
    """Watch a worker until a point in time: the time of echoes, and memory."""
    peak = 0
    patience = Patience(server)
    with Innocent(server, pause=0.02) as innocent:
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1))
            peak = max(peak, server.rss())
    return Round(0, 0, innocent.latency.p99 if innocent.latency else 0, patience.factor, peak)


def rest(server: Server, began: float) -> Rest:
    """Wait until all that clients have had is given back, and look at what there is."""
    with contextlib.suppress(AssertionError):  # then the number of descriptors tells
        wait_idle(server, timeout=10)
    # Who left last may still have a thread; one of the manager's ends when it was idle for half a second.
    time.sleep(0.7)
    samples: list[tuple[int, int, int, int]] = []
    for _ in range(5):
        blocks = trim(server)
        time.sleep(0.1)
        samples.append((server.rss(), server.fds(), server.threads(), blocks))
    memory, fds, threads, blocks = (min(values) for values in zip(*samples, strict=True))
    return Rest(time.monotonic() - began, memory, fds, threads, blocks)


class LogWatch:
    """What a server writes, read as it comes: what should not be there is kept."""

    #: Parts of lines that the traffic is the reason of.
    _EXPECTED = (
        "INFO ",
        "[INFO]",
        '" 101 ',
        '"GET /',
        "raised an exception; its connection is closed",
        "refused the upgrade of",
    )

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rest = b""
        self._tracebacks = self._asked_for = 0
        self._in_traceback = False
        self._strange: Counter[str] = Counter()

    def read(self) -> None:
        """Read on."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = self._rest + file.read()
            self._position = file.tell()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if line.startswith("Traceback "):
            self._tracebacks += 1
            self._in_traceback = True
        elif self._in_traceback:
            if line.startswith(" "):
                return
            self._in_traceback = False
            if line == ASKED_FOR:
                self._asked_for += 1
            else:
                self._strange[line] += 1
        elif line and not any(part in line for part in self._EXPECTED):
            self._strange[line] += 1

    @property
    def wrong(self) -> list[str]:
        """What should not be there, in words."""
        return [f"{times} times in the server's log: {line}" for line, times in self._strange.most_common(20)]
