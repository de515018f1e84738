"""
What is compiled: the hot path, from the same sources as the pure build, with Cython.

``x.py`` with an ``x.pxd`` beside it is compiled as it is; ``x.py`` with an ``x.pyx`` is compiled from
that, for what only C can do, and has the same names. All else of the project is in pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PACKAGE = Path("ws4py_middleware")

sources = sorted(
    path.with_suffix(".pyx") if path.with_suffix(".pyx").exists() else path.with_suffix(".py")
    for path in PACKAGE.rglob("*.pxd")
)
extensions = [
    Extension(
        ".".join(source.with_suffix("").parts), [str(source)], extra_compile_args=["-O3"], optional=True
    )
    for source in sources
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "annotation_typing": False,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": False,
        },
    )
)
