"""
A real gunicorn to which something bad happens, and what has to be true afterwards.

::

    with start_watched("gunicorn-gthread", APP, workers=4) as watched:
        with watched.recovers():        # what it costs at rest is noted here
            ...                         # the fault
        # A fresh client was echoed within a second, and each worker costs what it did before.

What a worker costs is its descriptors, its threads and its memory. What has another bound is said where it is
asked for: ``watched.recovers(Margin(memory=16 * MiB))``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests.entrances.drains import wait_for_end
from tests.promises.attacker import Patience, Peer, read_status, upgrade
from tests.promises.conftest import ALL, GEVENT, GTHREAD, SYNC, check_log
from tests.promises.wire import TEXT, MiB, close_frame, frame
from tests.servers import Server, child_pids, paused, start, wait_for

__all__ = [
    "ALL",
    "APP",
    "GEVENT",
    "GTHREAD",
    "SYNC",
    "Cost",
    "Margin",
    "Watched",
    "cost_of",
    "paused",
    "start_watched",
]

APP = "tests.promises.app:app"


class Cost(NamedTuple):
    """What a process holds."""

    fds: int
    threads: int
    #: Resident, in bytes.
    memory: int

    def exceeds(self, before: Cost, margin: Margin) -> bool:
        """Return whether it is more than before, and more than what may remain of a fault."""
        grown = (now - then for now, then in zip(self, before, strict=True))
        return any(growth > allowed for growth, allowed in zip(grown, margin, strict=True))


class Margin(NamedTuple):
    """What may remain of a fault in each worker: no more than an allocator keeps for the next one."""

    fds: int = 0
    threads: int = 0
    memory: int = 8 * MiB


SMALL = Margin()


class Watched:
    """A server and its workers, before and after a fault."""

    def __init__(self, server: Server, count: int) -> None:
        self.server = server
        self.count = count
        #: What each worker cost at rest, by its process id.
        self.before: dict[int, Cost] = {}

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers that are alive, oldest first."""
        return [pid for pid in child_pids(self.server.process.pid) if cost_of(pid).memory]

    def wait_workers(self, timeout: float = 10.0) -> list[int]:
        """Wait until there are as many as there should be, and return their process ids."""
        wait_for(lambda: len(self.workers) == self.count, timeout, f"{self.count} workers")
        return self.workers

    def kill(self, worker: int) -> None:
        """Kill a worker: -9."""
        os.kill(worker, signal.SIGKILL)
        wait_for_end(worker, timeout=5)

    def connect_to(self, worker: int, path: str = "/echo", **options: Any) -> Peer:
        """Open a WebSocket at one worker: the others are paused until it has answered."""
        with paused(set(self.workers) - {worker}):  # so that nobody else takes the connection
            return upgrade(self.server, path, **options)

    def warm_up(self, path: str = "/echo", times: int = 3) -> None:
        """Let each worker load and allocate what it needs for any client at all."""
        for worker in self.wait_workers():
            for _ in range(times):
                with self.connect_to(worker, path) as peer:
                    _say_hello(peer)

    def echo(self, bound: float = 1.0) -> float:
        """Let a fresh client be echoed, within a bound (and some patience); return the seconds it took."""
        patience = Patience(self.server)
        began = time.monotonic()
        with upgrade(self.server, timeout=10) as peer:
            peer.echo(b"is anybody there?")
            took = time.monotonic() - began
            _say_goodbye(peer)
        bound *= patience.factor
        assert took <= bound, f"a fresh client was echoed after {took:.2f} s\n{self.server.log}"
        return took

    def note(self) -> None:
        """Note what each worker costs, now that it is at rest."""
        samples = [{pid: cost_of(pid) for pid in self.wait_workers()} for _ in _every(0.05, 0.5)]
        self.before = {
            pid: Cost(*map(min, zip(*(sample[pid] for sample in samples), strict=True)))
            for pid in samples[-1]
        }

    def check(self, margin: Margin = SMALL, *, bound: float = 1.0, settling: float = 5.0) -> float:
        """
        Check that all is well: a fresh client, and what each worker costs.

        A worker that has come in place of another one may cost what the largest did before.

        Args:
            bound: Seconds for the fresh client, from now on.
            settling: Seconds until what the fault has cost has to be given back.
        """
        took = self.echo(bound)
        for pid in set(self.wait_workers()) - set(self.before):
            with self.connect_to(pid) as peer:  # a new worker serves, too
                _say_hello(peer)
        largest = Cost(*map(max, zip(*self.before.values(), strict=True)))

        def grown() -> dict[int, tuple[Cost, Cost]]:
            found = {pid: (self.before.get(pid, largest), cost_of(pid)) for pid in self.wait_workers()}
            return {pid: pair for pid, pair in found.items() if pair[1].exceeds(pair[0], margin)}

        deadline = time.monotonic() + settling
        while (left := grown()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, f"worker: (before, after): {left}, margin: {margin}\n{self.server.log}"
        return took

    @contextlib.contextmanager
    def recovers(
        self, margin: Margin = SMALL, *, bound: float = 1.0, settling: float = 5.0
    ) -> Iterator[None]:
        """Note what there is before a fault, which is the block, and check it afterwards."""
        self.note()
        yield
        self.check(margin, bound=bound, settling=settling)


@contextlib.contextmanager
def start_watched(
    kind: str,
    app: str = APP,
    *,
    workers: int = 1,
    asked_for: str | None = None,
    expected: Sequence[str] = (),
    **options: Any,
) -> Iterator[Watched]:
    """
    Run an application, which has to have ``/echo``, under a gunicorn, warm.

    Args:
        asked_for: What the only tracebacks in the log are of (see :func:`.check_log`).
        expected: Parts of the lines that the fault makes others than us write into the log.
        options: More for :func:`tests.servers.start`; its ``options`` come last on the command line.
    """
    more = ("--workers", str(workers), "--timeout", "60", *options.pop("options", ()))
    with start(kind, app, options=more, **options) as server:
        watched = Watched(server, workers)
        watched.warm_up()
        yield watched
        lines = server.log.splitlines(keepends=True)
    check_log("".join(line for line in lines if not any(part in line for part in expected)), asked_for)


def cost_of(pid: int) -> Cost:
    """Return what a process holds now; nothing when it is gone."""
    try:
        fds, threads = (len(os.listdir(f"/proc/{pid}/{name}")) for name in ("fd", "task"))
        return Cost(fds, threads, read_status(pid, "VmRSS"))
    except (OSError, LookupError):
        return Cost(0, 0, 0)


def _say_hello(peer: Peer) -> None:
    peer.echo()
    _say_goodbye(peer)


def _say_goodbye(peer: Peer) -> None:
    peer.send(frame(TEXT, b"bye") + close_frame(1000))
    peer.read_to_close()
    peer.read_to_end()


def _every(interval: float, length: float) -> Iterator[None]:
    """Take turns so often, for so long."""
    until = time.monotonic() + length
    while time.monotonic() < until:
        yield
        time.sleep(interval)
