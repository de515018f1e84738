"""
The load generator: builds the C programs with the system's compiler, runs them, reads their answer.

``wsload`` compares every echo (every eighth of large ones) with what it sent, so that a server is never
measured for wrong answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Held", "LoadError", "build", "cpu_us_per_message", "hold", "run"]

SOURCES = Path(__file__).parent / "c"


class LoadError(Exception):
    """The load generator could not be built, or what came back from the server was wrong."""


class Held(NamedTuple):
    """Connections that are open and silent, and the process that holds them."""

    opened: int
    process: subprocess.Popen[str]

    def release(self, timeout: float) -> dict[str, Any]:
        """
        Let every connection echo one message, then close; return what ``wsload`` measured.

        Raises:
            LoadError: It did not end within `timeout` seconds, or said nothing.
        """
        try:
            answer, _ = self.process.communicate(timeout=timeout)  # closes its input, which it waits for
        except subprocess.TimeoutExpired:
            raise LoadError(f"no answer within {timeout:g} s after the hold") from None
        return _parse(answer)


def build(name: str, *libraries: str) -> Path:
    """
    Return the compiled program ``c/NAME.c``, compiling it first when the source is new.

    Args:
        libraries: What it is linked with, as the compiler is told.

    Raises:
        LoadError: There is no C compiler, or the source does not compile.
    """
    source = SOURCES / f"{name}.c"
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise LoadError("no C compiler: install gcc (Debian: apt install build-essential)")
    parts = [part.read_bytes() for part in (source, *sorted(SOURCES.glob(f"{name}_*.h")))]
    digest = hashlib.sha256(b"".join([*parts, *map(str.encode, (compiler, *libraries))])).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ws4py_middleware-benchmarks"
    program = cache / f"{name}-{digest}"
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    fresh = cache / f"{program.name}.{os.getpid()}"
    # zlib is wanted for compressed echoes only; without its header everything else still works.
    attempts = (["-lz"], ["-DWITHOUT_ZLIB"]) if name == "wsload" else (list(libraries),)
    complaint = ""
    for flags in attempts:
        command = [compiler, "-O2", "-march=native", "-o", str(fresh), str(source), *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            fresh.replace(program)
            return program
        complaint = complaint or done.stderr
    raise LoadError(f"{source.name} does not compile: {complaint.strip()[-400:]}")


def _parse(answer: str) -> dict[str, Any]:
    lines = answer.strip().splitlines()
    if not lines:
        raise LoadError("the load generator said nothing")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _command(
    mode: str, port: int, pids: Sequence[int], core: int | None, options: Sequence[str]
) -> list[str]:
    command = [str(build("wsload")), mode, "-p", str(port), "-q", ",".join(map(str, pids)), *options]
    return command if core is None else [*command, "-c", str(core)]


def run(
    mode: str, port: int, pids: Sequence[int], core: int | None, options: Sequence[str], timeout: float
) -> dict[str, Any]:
    """
    Drive the server at `port` and return what ``wsload`` measured.

    Args:
        mode: ``echo``, ``broadcast`` or ``connect``.
        pids: The processes whose CPU time is measured.
        core: The core that the load generator stays on, or None.
        options: Further options of ``wsload``.
        timeout: Seconds after which the load generator is killed.

    Raises:
        LoadError: It was killed, a connection broke, or what came back was not what was sent.
    """
    command = _command(mode, port, pids, core, options)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise LoadError(f"no result within {timeout:g} s") from None
    result = _parse(done.stdout)
    if not result["ok"]:
        raise LoadError(str(result.get("error") or "nothing came back"))
    return result


@contextlib.contextmanager
def hold(
    port: int, pids: Sequence[int], core: int | None, connections: int, timeout: float
) -> Iterator[Held]:
    """
    Keep `connections` WebSockets open and silent while the block runs, `timeout` seconds at most.

    Raises:
        LoadError: They were not open within `timeout` seconds.
    """
    options = ["-n", str(connections), "-H", str(timeout), "-t", str(timeout)]
    command = _command("idle", port, pids, core, options)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], timeout)
        if not readable:
            raise LoadError(f"{connections} connections were not open within {timeout:g} s")
        first = json.loads(process.stdout.readline() or "{}")
        if first.get("event") != "held" or first["opened"] < connections * 99 // 100:
            raise LoadError(f"{first.get('opened', 0)} of {connections} connections opened")
        yield Held(first["opened"], process)
    finally:
        process.kill()
        process.communicate()


def cpu_us_per_message(result: dict[str, Any]) -> float:
    """Return the microseconds of CPU that one message cost the server."""
    return float(result["srv_us_per_msg"])
