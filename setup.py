"""
What is compiled: the hot path, from the same sources as the pure build, with Cython.

``x.py`` with an ``x.pxd`` beside it is compiled as it is; ``x.py`` with an ``x.pyx`` is compiled from
that, for what only C can do, and has the same names. All else of the project is in pyproject.toml.

All or nothing: compiled modules call each other in C, so one that cannot be compiled takes the others
with it, and what is installed is the pure build. CPython only: PyPy compiles what is hot by itself.

* ``WS4PY_MIDDLEWARE_PURE=1`` compiles nothing: the wheel is one for every interpreter.
* ``WS4PY_MIDDLEWARE_REQUIRE_COMPILED=1`` makes it an error when something cannot be compiled.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

PACKAGE = Path("ws4py_middleware")

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": False,
}


def is_set(name: str) -> bool:
    """Tell whether a variable of the environment asks for something."""
    return os.environ.get(name, "") not in ("", "0")


def find_extensions() -> list[Extension]:
    """Return what is to be compiled here."""
    if sys.implementation.name != "cpython" or is_set("WS4PY_MIDDLEWARE_PURE"):
        return []
    # Who sets CFLAGS knows what they want; Debian's Python says -O2.
    optimize = [] if os.environ.get("CFLAGS") else ["-O3"]
    extensions = []
    for typed in sorted(PACKAGE.rglob("*.pxd")):
        own = typed.with_suffix(".pyx")
        source = own if own.exists() else typed.with_suffix(".py")
        name = ".".join(source.with_suffix("").parts)
        extensions.append(Extension(name, [str(source)], extra_compile_args=optimize))
    return extensions


class BuildAllOrNothing(build_ext):  # type: ignore[misc]  # setuptools has no types
    """Compile every module or none, two at a time."""

    def initialize_options(self) -> None:
        """Two at a time, unless ``--parallel`` says otherwise."""
        super().initialize_options()
        self.inplace: bool
        self.parallel = 2

    def run(self) -> None:
        """
        Compile all.

        Raises:
            Exception: It is required, and one of them could not be compiled.
        """
        inplace = self.inplace
        try:
            self._write_c()
            super().run()
        except (OSError, ImportError, ValueError, BaseError, CCompilerError) as error:
            if is_set("WS4PY_MIDDLEWARE_REQUIRE_COMPILED"):
                raise
            self.inplace = inplace
            self._go_pure(error)
        self._remove_others()

    def _write_c(self) -> None:
        """Let Cython write C, where something is newer than what it wrote before."""
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError

        try:
            written = cythonize(self.extensions, build_dir="build/cython", compiler_directives=DIRECTIVES)
        except CompileError as error:
            raise ValueError(f"Cython: {error}") from error
        for extension, result in zip(self.extensions, written, strict=True):
            extension.sources, extension.depends = result.sources, result.depends

    def _go_pure(self, error: Exception) -> None:
        """Have nothing compiled, and a wheel that says so."""
        self.extensions = self.distribution.ext_modules = []
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None:
            wheel.root_is_pure = True
        self.warn(f"ws4py_middleware: NOT COMPILED, what is installed is the pure Python build: {error}")

    def _remove_others(self) -> None:
        """Remove what was compiled earlier and is not of this build: it would be imported, or packed."""
        wanted = {Path(self.get_ext_filename(extension.name)) for extension in self.extensions}
        for root in (Path(self.build_lib), *([Path()] if self.inplace else [])):
            for path in _find_compiled(root / PACKAGE):
                if path.relative_to(root) not in wanted:
                    path.unlink()


def _find_compiled(folder: Path) -> Iterator[Path]:
    """Find what this interpreter would import."""
    return folder.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}")


setup(ext_modules=find_extensions(), cmdclass={"build_ext": BuildAllOrNothing})
