"""
uvicorn's reload, which looks at more than Python's files, and misses no change.

uvicorn forgets at each restart what it has seen, and looks again when the application is on its way up: what
is saved until then, while WebSockets are told to come back, would never be seen.

A room of its own, as it is the one place that has uvicorn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors.statreload import StatReload

__all__ = ["Reload", "run"]


class Reload(StatReload):
    """What starts the server again when a file has changed."""

    #: Files of other kinds.
    others: Iterable[Path] = ()
    #: When each file was written, as far as it was seen.
    times: Mapping[Path, int] = {}

    def look(self) -> list[Path]:
        """Return what has changed since the last look. A file that was not there before is no change."""
        found: dict[Path, int] = {}
        for path in self.iter_py_files():
            with contextlib.suppress(OSError):  # editors put another one in its place
                found[path] = path.stat().st_mtime_ns
        changed = [path for path, time in found.items() if self.times.get(path, time) != time]
        self.times = {**self.times, **found}
        return changed

    def should_restart(self) -> list[Path] | None:
        """Wait for a moment, and look; uvicorn asks."""
        self.pause()
        return self.look() or None

    def iter_py_files(self) -> Iterator[Path]:
        """Go through all files that are looked at."""
        yield from super().iter_py_files()
        yield from self.others


def run(app: str, *, watched: Iterable[Path], reload: bool, **options: Any) -> int:
    """
    Serve an application until a signal comes, and return the exit status: 1 when it could not begin.

    Args:
        app: The import path of a function that makes it.
        watched: Files to start again for, beside those that uvicorn looks at.
        reload: Whether to start again at all.
        options: As of ``uvicorn.Config``.
    """
    try:
        if not reload:
            uvicorn.run(app, factory=True, **options)
            return 0
        config = uvicorn.Config(app, factory=True, reload=True, **options)
        supervisor = Reload(config, uvicorn.Server(config).run, [config.bind_socket()])
        supervisor.others = watched
        supervisor.look()  # before the application is imported, not while it is
        supervisor.run()
    except SystemExit as end:
        # Versions of uvicorn differ in which number it is.
        return 1 if end.code else 0
    return 0
