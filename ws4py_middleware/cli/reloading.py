"""
uvicorn's reload, which looks at more than Python's files.

A room of its own, as it is the one place that has uvicorn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors.statreload import StatReload

__all__ = ["run"]


class _Reload(StatReload):
    #: Files of other kinds.
    others: Iterable[Path] = ()

    def iter_py_files(self) -> Iterator[Path]:
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
        supervisor = _Reload(config, uvicorn.Server(config).run, [config.bind_socket()])
        supervisor.others = watched
        supervisor.run()
    except SystemExit as end:
        # Versions of uvicorn differ in which number it is.
        return 1 if end.code else 0
    return 0
