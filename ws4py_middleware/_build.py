"""
Which build runs: the hot path compiled, or all of it in pure Python.

Both are made of one source and do the same. A compiled module lies beside its ``.py`` and is what Python
imports; ``WS4PY_MIDDLEWARE_PURE=1`` in the environment, when the package is first imported, has the ``.py``
imported instead. Nothing else needs to be set: where nothing is compiled, the ``.py`` is all there is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType

__all__ = ["COMPILED", "FOLDERS", "PURE", "VARIABLE", "check", "find_modules", "prepare", "tell"]

VARIABLE = "WS4PY_MIDDLEWARE_PURE"

#: Whether pure Python was asked for.
PURE = os.environ.get(VARIABLE, "") not in ("", "0")

#: Whether the hot path is compiled; :func:`prepare` knows.
COMPILED = False

_PACKAGE = __name__.rpartition(".")[0]

#: Where something is compiled, below the package.
FOLDERS = ("", "core", "core/extensions", "handover", "hub")

_told = 0


class SourceFinder:
    """Imports the modules of one package from their sources, whatever was compiled of them."""

    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."
        self._finders: dict[str, FileFinder] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module's source; all that is not in the package is for others to find."""
        if not fullname.startswith(self._prefix):
            return None
        for folder in path or ():
            finder = self._finders.get(folder)
            if finder is None:
                loaders = (SourceFileLoader, SOURCE_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES)
                finder = self._finders[folder] = FileFinder(folder, *loaders)
            spec = finder.find_spec(fullname, target)
            if spec is not None:
                return spec
        return None

    def invalidate_caches(self) -> None:
        """Look into the folders again."""
        for finder in self._finders.values():
            finder.invalidate_caches()


def find_modules(root: str) -> tuple[set[str], set[str]]:
    """
    Return the modules that can be compiled, and those that are, for this interpreter.

    Args:
        root: The folder of the package.
    """
    typed, compiled = set(), set()
    for folder in FOLDERS:
        try:
            names = os.listdir(os.path.join(root, folder))
        except OSError:  # in a zip file, from which no compiled module can be imported
            continue
        prefix = f"{folder}/" if folder else ""
        for name in names:
            stem, dot, suffix = name.partition(".")
            if suffix == "pxd":
                typed.add(prefix + stem)
            elif dot + suffix in EXTENSION_SUFFIXES:
                compiled.add(prefix + stem)
    return typed, compiled


def prepare() -> None:
    """
    Have the right build imported; before any other module of the package is.

    Raises:
        ImportError: Some of what belongs together was compiled, and some was not.
    """
    global COMPILED
    if PURE:
        if not any(isinstance(finder, SourceFinder) for finder in sys.meta_path):
            sys.meta_path.insert(0, SourceFinder(_PACKAGE))
        return
    typed, compiled = find_modules(os.path.dirname(__file__))
    check(typed, compiled)
    COMPILED = bool(compiled)


def check(typed: set[str], compiled: set[str]) -> None:
    """
    Check that all is compiled, or nothing.

    Raises:
        ImportError: Neither is true.

    >>> check({"core/masking", "core/utf8"}, {"core/utf8"})
    Traceback (most recent call last):
    ImportError: ws4py_middleware is compiled in part: core/masking is not. Install it again ...
    """
    if not compiled or compiled == typed:
        return
    missing, extra = sorted(typed - compiled), sorted(compiled - typed)
    what = f"{', '.join(missing)} is not" if missing else f"{', '.join(extra)} is of another version"
    raise ImportError(
        f"{_PACKAGE} is compiled in part: {what}. Install it again (pip install --force-reinstall "
        f"{_PACKAGE}; in a checkout: scripts/build), or set {VARIABLE}=1 to run it in pure Python",
        name=_PACKAGE,
    )


def tell() -> None:
    """Say once in a process, when there is something to serve, that it is served in pure Python."""
    global _told
    if _told == os.getpid():
        return
    _told = os.getpid()
    if COMPILED or sys.implementation.name != "cpython":
        return
    import logging

    logger = logging.getLogger(_PACKAGE)
    if PURE:
        logger.info("this is the pure Python build, as %s asks for", VARIABLE)
    elif find_modules(os.path.dirname(__file__))[0]:
        logger.warning(
            "this is the pure Python build: all works, and a message costs two to six times the CPU. "
            "It was installed where nothing could be compiled. Install a C compiler and Python's headers "
            "(Debian: gcc python3-dev), then: pip install --force-reinstall --no-cache-dir %s. "
            "%s=1 in the environment says that this is what you want",
            _PACKAGE,
            VARIABLE,
        )
