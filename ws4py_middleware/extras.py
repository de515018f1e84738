"""Packages that are there with an extra of this one only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["MissingExtraError", "needs"]


class MissingExtraError(ModuleNotFoundError):
    """A package is missing; the message says which extra of ours brings it."""


@contextlib.contextmanager
def needs(package: str, extra: str, what: str) -> Iterator[None]:
    """
    Import a package in a block; where it is not installed, the error says which extra brings it.

    Args:
        package: The name by which it is imported.
        extra: The extra of ours that installs it.
        what: What needs it.

    Raises:
        MissingExtraError: It is missing. When it is something else that is missing, which the package needs
            itself, the error is left as it is.

    >>> with needs("gone", "fishing", "a pond"):
    ...     import gone
    Traceback (most recent call last):
        ...
    ws4py_middleware.extras.MissingExtraError: a pond needs gone: pip install "ws4py_middleware[fishing]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        text = f'{what} needs {package}: pip install "ws4py_middleware[{extra}]"'
        raise MissingExtraError(text, name=error.name) from error
