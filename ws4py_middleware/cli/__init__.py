"""
The command line: ``ws4py-middleware``, and ``python -m ws4py_middleware``.

It needs the extra ``cli``. Each command is a module here and is loaded when it is asked for, so that
``connect`` does not pay for ``serve``; what they share is below them.

=============  =====================================================================
``group``      the table of commands
``console``    where all output goes through
``escaping``   what came from a peer, as a terminal may have it
``failures``   what is said when there is no connection
``options``    those of the commands that connect to a server
``statuses``   what they exit with
=============  =====================================================================
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from ..extras import MissingExtraError, needs
from .statuses import DONE, INTERRUPTED, PIPE_CLOSED, USAGE

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command line, and exit.

    Args:
        arguments: Those behind the program's name; by default ``sys.argv[1:]``.

    Raises:
        SystemExit: Always. The status is the command's; 2 is wrong usage, or a missing extra.
    """
    _have_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # files of text have it
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
        status = PIPE_CLOSED
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        status = USAGE
    sys.exit(status)


def _run(arguments: Sequence[str] | None) -> int:
    with needs("click", "cli", "the command line"):
        import click
    with needs("rich", "cli", "the command line"):
        import rich  # noqa: F401 - the commands need it
    from .group import cli

    output = sys.stdout
    try:
        result = cli.main(arguments, prog_name="ws4py-middleware", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SystemExit:
        # Where nobody reads the output click exits with 1, as for many other reasons, and wraps it before.
        if sys.stdout is not output:
            return PIPE_CLOSED
        raise
    return result if isinstance(result, int) else DONE


def _have_streams() -> None:
    """Have something for input, output and errors, so that no connection gets the number of one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
        stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def _forget(stream: TextIO) -> None:
    """Let nobody complain, at the interpreter's exit, of what cannot be written any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
