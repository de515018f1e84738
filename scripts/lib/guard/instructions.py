"""Instructions a message in user space, counted by valgrind in a process that is warm."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.lib.guard.load import GREETING, LOADS
from tests.promises.wire import TEXT, frame
from tests.servers import ROOT

__all__ = ["BUILDS", "ECHO", "WORK", "count_instructions", "describe_build", "is_there", "parse_total"]


class Work(NamedTuple):
    """How many rounds of a load are counted: a few, then many; what they differ by is what is told."""

    warm: int
    few: int
    many: int


#: By the name of the load. Large messages take a pure Python much longer.
WORK = {
    "e1": Work(100, 50, 550),
    "p16x1": Work(20, 10, 110),
    "64K": Work(5, 5, 25),
    "bcast100": Work(5, 5, 25),
}

#: By the name of a build: the environment in which it is what is imported.
BUILDS: Mapping[str, Mapping[str, str]] = {
    "pure": {"WS4PY_MIDDLEWARE_PURE": "1"},
    "compiled": {"WS4PY_MIDDLEWARE_PURE": "0"},
}

#: What is counted.
ECHO = "ws4py_middleware:EchoWebSocket"

_PATIENCE = 60.0


def parse_total(dump: str) -> int:
    r"""
    Read how many instructions there were from what callgrind writes.

    >>> parse_total("events: Ir\nfn=(1)\n+3 17\ntotals: 123456\n")
    123456
    """
    found = re.search(r"^totals: (\d+)", dump, re.MULTILINE)
    if found is None:
        raise RuntimeError("callgrind has written no totals")
    return int(found[1])


def describe_build(build: str) -> str:
    """Tell what makes the count: the interpreter, the C library, and for what is compiled the compiler."""
    parts = [platform.python_implementation(), platform.python_version(), platform.python_compiler()]
    parts += [*platform.libc_ver(), platform.machine()]
    if build == "compiled":
        compiler = os.environ.get("CC") or shutil.which("cc") or "cc"
        version = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=False)
        parts += ["extensions by", version.stdout.strip() or "?"]
    return " ".join(part for part in parts if part)


def is_there(build: str) -> bool:
    """Tell whether a build is what is imported when it is asked for."""
    question = "from ws4py_middleware.core import COMPILED; print(COMPILED)"
    command = [sys.executable, "-c", question]
    answer = subprocess.run(
        command, cwd=ROOT, env=_environ(build), capture_output=True, text=True, check=True
    )
    return answer.stdout.strip() == str(build == "compiled")


def _environ(build: str) -> dict[str, str]:
    # A seed: the order of sets of strings is the same each time.
    return {**os.environ, **BUILDS[build], "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}


def count_instructions(
    build: str, handler: str = ECHO, loads: Sequence[str] = tuple(WORK)
) -> dict[str, float]:
    """
    Return the instructions a message of each load, in one process that serves one connection, and a room.

    Args:
        build: One of :data:`BUILDS`.
        handler: What answers, ``"module:class"``.
        loads: Some of :data:`WORK`.

    Raises:
        RuntimeError: valgrind does not run here, or the build is not there.
    """
    counts: dict[str, float] = {}
    members = max((LOADS[name].connections for name in loads if LOADS[name].is_broadcast), default=0)
    with (
        tempfile.TemporaryDirectory(prefix="guard-") as folder,
        _watched(build, handler, members, folder) as (process, ours),
    ):
        for name in loads:
            load, work = LOADS[name], WORK[name]
            sockets = ours[1:] if load.is_broadcast else ours[:1]
            load.play(sockets, work.warm)
            totals = []
            _dump(process, folder)
            for rounds in (work.few, work.many):
                load.play(sockets, rounds)
                totals.append(_dump(process, folder))
            counts[name] = (totals[1] - totals[0]) / ((work.many - work.few) * load.per_round)
    return counts


@contextlib.contextmanager
def _watched(
    build: str, handler: str, members: int, folder: str
) -> Iterator[tuple[subprocess.Popen[bytes], list[socket.socket]]]:
    """Run the process under callgrind, which counts from here on; yield it and the clients' sockets."""
    with contextlib.ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(1 + members)]
        ours, theirs = ([pair[end] for pair in pairs] for end in (0, 1))
        for sock in ours:
            stack.enter_context(sock)
            sock.settimeout(_PATIENCE)
        for sock in pairs[0]:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, 2**20)
        fds = [sock.fileno() for sock in theirs]
        log = Path(folder, "log")
        command = ["valgrind", "--tool=callgrind", "--cache-sim=no", "--instr-atstart=no"]
        command += [f"--callgrind-out-file={folder}/out", f"--vgdb-prefix={folder}/vgdb", f"--log-file={log}"]
        command += [sys.executable, "-m", "scripts.lib.guard.echo", handler, *map(str, fds)]
        process = subprocess.Popen(command, cwd=ROOT, env=_environ(build), pass_fds=fds)
        for sock in theirs:
            sock.close()
        stack.callback(process.wait)
        stack.callback(process.kill)
        LOADS["e1"].play(ours[:1], 1)  # it is there
        greeting = frame(TEXT, GREETING.encode(), masked=False)
        for sock in ours[1:]:
            if sock.recv(len(greeting), socket.MSG_WAITALL) != greeting:
                raise RuntimeError("a member has not come in")
        _tell(process, folder, "instrumentation", "on")
        yield process, ours


def _dump(process: subprocess.Popen[bytes], folder: str) -> int:
    """Return the instructions since the last dump, or since they are counted."""
    before = set(Path(folder).glob("out.*"))
    _tell(process, folder, "dump")
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for path in set(Path(folder).glob("out.*")) - before:
            text = path.read_text()
            if "totals:" in text:
                return parse_total(text)
        time.sleep(0.01)
    raise RuntimeError("callgrind has written nothing")


def _tell(process: subprocess.Popen[bytes], folder: str, *words: str) -> None:
    command = ["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={process.pid}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"valgrind does not listen: {done.stderr.strip()}")
