"""
Where all output goes through: one console for results, one for everything else.

Neither makes anything of ``[brackets]`` or ``:colons:`` in what it prints, and neither wraps lines of text.
Tables are folded to the width of a terminal; in a pipe nothing is folded, however long.
There is no colour in a pipe, nor with ``NO_COLOR`` in the environment.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["err", "has_colour", "out", "print_table", "write_json"]

#: How wide sentences are where nobody says how wide the output is; characters.
_PIPE_WIDTH = 100

#: Wider than any table.
_ENDLESS = 1_000_000


@functools.cache
def out() -> Console:
    """Return the console of the standard output: what was asked for."""
    return _make(stderr=False)


@functools.cache
def err() -> Console:
    """Return the console of the standard error: progress, hints, what went wrong."""
    return _make(stderr=True)


def has_colour() -> bool:
    """Tell whether other people's logs, which are on the standard error, may have colours."""
    return err().is_terminal and not err().no_color


def write_json(value: Any) -> None:
    """Write one line of JSON to the standard output; of ASCII, so that no terminal can take it amiss."""
    out().print(json.dumps(value))


def print_table(console: Console, table: Table) -> None:
    """Print a table; only in a terminal is folded what is too long for it."""
    width = console.width
    if not console.is_terminal:
        console.width = _ENDLESS
    try:
        console.print(table)
    finally:
        console.width = width


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        """Print; lines of text are left as long as they are."""
        if all(isinstance(each, str) for each in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Let :func:`~ws4py_middleware.cli.main` decide; rich would exit with 1."""
        raise BrokenPipeError("nobody reads the output")


def _make(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console
