"""
Run a server for a while: its log, its processes, their threads, and where they listen.

What a process does is read from ``/proc``; where there is none, as on macOS, that part is not known.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic

from .inside import Facts

__all__ = ["Running", "find_program", "free_port", "has_proc", "look_inside", "run", "wait_until"]

#: Between two looks; seconds.
_PAUSE = 0.02

#: How often the same number of threads is to be seen in a row, and how long that is waited for; seconds.
_SAMPLES = 5
_SETTLE_TIME = 2.0

#: How long an application may take to be imported; seconds.
_IMPORT_TIME = 30.0


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str) -> str | None:
    """Find a program: beside this interpreter, in whose environment the application is; or on the PATH."""
    return shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)


def has_proc() -> bool:
    """Tell whether processes can be looked at here."""
    return os.path.isdir("/proc/self/task")


class Running:
    """A server that was started, and all the processes that it has started itself."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self._log.read_text("utf-8", "replace")

    @property
    def last_line(self) -> str:
        """The last that it has said, where a traceback ends."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        return find_exception(self.log) or (lines[-1] if lines else "nothing")

    @property
    def ended(self) -> bool:
        """Whether the process that was started has ended."""
        return self.process.poll() is not None

    def pids(self) -> list[int]:
        """Return its processes, the one that was started first; those that ended are not there."""
        found, at = [self.process.pid], 0
        while at < len(found):
            found += _children(found[at])
            at += 1
        return found

    def count_threads(self) -> int | None:
        """
        Count the threads of all of its processes, once those that begin or end have done so.

        Returns:
            ``None`` where that is not to be known.
        """
        if not has_proc():
            return None
        counts: list[int] = []

        def is_settled() -> bool:
            counts.append(sum(_count(f"/proc/{pid}/task") for pid in self.pids()))
            return len(counts) > _SAMPLES and len(set(counts[-_SAMPLES:])) == 1

        wait_until(is_settled, _SETTLE_TIME)
        return counts[-1]

    def find_ports(self) -> list[tuple[str, int]]:
        """Return the addresses on which its processes listen."""
        inodes = set()
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for name in os.listdir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        inodes.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        return [(host, port) for host, port, inode in _listening() if f"socket:[{inode}]" in inodes]

    def descriptor_limit(self) -> int | None:
        """Return how many files the process that serves may open."""
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{self.pids()[-1]}/limits").read_text().splitlines()
            line = next(line for line in lines if line.startswith("Max open files"))
            soft = line.split()[3]
            return int(soft) if soft.isdecimal() else None
        return None

    def terminate(self) -> None:
        """Send SIGTERM to the process that was started, as a service manager does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; return whether it did."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End all that is left of it."""
        # It leads a group of its own; whoever left that was asked to run in the background.
        for pid in reversed(self.pids()):
            if pid != self.process.pid or not self.ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def run(words: Sequence[str], environ: Mapping[str, str]) -> Iterator[Running]:
    """
    Run a command for the length of a ``with`` block.

    Raises:
        FileNotFoundError: There is no such program.
    """
    program = find_program(words[0])
    if program is None:
        raise FileNotFoundError(words[0])
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        path = Path(folder, "log")
        with path.open("wb") as log:
            process = subprocess.Popen(
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
                start_new_session=True,
            )
        running = Running(process, path)
        try:
            yield running
        finally:
            running.kill()


@contextlib.contextmanager
def look_inside(spec: str, paths: Sequence[str]) -> Iterator[Inspection]:
    """Import an application in a process of its own, beside whatever happens in the block."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        path = Path(folder, "facts")
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.inside", spec, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": _join(paths)},
            )
        try:
            yield Inspection(process, path)
        finally:
            process.kill()
            process.wait()


class Inspection:
    """A look at an application that is under way."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self._process = process
        self._path = path

    def result(self) -> Facts:
        """Wait for what is found."""
        try:
            self._process.wait(_IMPORT_TIME)
        except subprocess.TimeoutExpired:
            return Facts(problem=f"its import takes more than {_IMPORT_TIME:g} s")
        if not self._path.exists():
            return Facts(problem=f"its import ended the process with {self._process.returncode}")
        return Facts.read(self._path.read_text("utf-8"))


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Look again and again until something is true, at most for so long; return whether it was."""
    until = monotonic() + timeout
    while not condition():
        if monotonic() > until:
            return False
        time.sleep(_PAUSE)
    return True


def find_exception(log: str) -> str:
    r"""
    Return the last line of the last traceback in a log; empty where there is none.

    >>> find_exception("Traceback (most recent call last):\n  File ...\nKeyError: 'room'\n[INFO] next")
    "KeyError: 'room'"
    """
    _, found, rest = log.rpartition("Traceback (most recent call last):")
    if not found:
        return ""
    return next((line.strip() for line in rest.splitlines() if line and not line.startswith((" ", "\t"))), "")


def _join(paths: Sequence[str]) -> str:
    return os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _count(folder: str) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(folder))
    return 0


def _listening() -> Iterator[tuple[str, int, str]]:
    """Read the sockets of this machine that listen: address, port, inode."""
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    address, _, port = fields[1].partition(":")
                    yield _read_address(address, family), int(port, 16), fields[9]


def _read_address(text: str, family: int) -> str:
    # Words of 32 bits, each in the machine's own order.
    raw = b"".join(int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8))
    return socket.inet_ntop(family, raw)
