"""Where a measurement was made: the machine, the interpreter, the libraries, and who runs on which core."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

__all__ = ["Cores", "allow_open_files", "choose_cores", "describe", "pinned", "version_of"]


class Cores(NamedTuple):
    """The core that the servers run on and the one that the load generator runs on; None: any."""

    server: int | None
    load: int | None


def choose_cores() -> Cores:
    """Give the servers one core and the load generator another, where this process may use two."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1]) if len(usable) > 1 else Cores(None, None)


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Start every process of the block on `core`: they inherit it from this one."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_open_files() -> int:
    """Raise the limit on open files to what the system allows; return it. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def version_of(distribution: str) -> str | None:
    """Return the installed version of `distribution`, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def describe(distributions: list[str]) -> list[str]:
    """Return one line each on the machine, the interpreter and the `distributions` that are installed."""
    from ws4py_middleware.core import COMPILED

    versions = ((name, version_of(name)) for name in distributions)
    build = "compiled" if COMPILED else "pure Python"
    return [
        f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}, ws4py_middleware's {build} build",
        ", ".join(f"{name} {version}" for name, version in versions if version),
    ]
