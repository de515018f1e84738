"""
What all tests share: which build is tested, how hard Hypothesis tries, which files are looked into, and
that Ctrl-C is heard.

The compiled build is tested where there is one (``scripts/build`` makes it), and the pure one with
``WS4PY_MIDDLEWARE_PURE=1``, or where nothing is compiled.

``ci`` is for every run; ``few`` for interpreters beside the first; ``full`` is what a release has to pass.
Choose with ``--hypothesis-profile=full`` or the environment variable ``HYPOTHESIS_PROFILE``.
"""

from __future__ import annotations

import gc
import os
import signal
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# It lies beside the tests, or was installed from a wheel that is tested.
_SPEC = find_spec("ws4py_middleware")
assert _SPEC is not None
assert _SPEC.origin is not None
PACKAGE = Path(_SPEC.origin).resolve().parent
# This interpreter's own: those of others lie beside them, and a bare ".so", the last suffix, is theirs, too.
COMPILED = list(PACKAGE.rglob(f"*{EXTENSION_SUFFIXES[0]}")) if EXTENSION_SUFFIXES else []

# Who has compiled nothing wants the pure build; the servers that the tests start need not complain of it.
if not COMPILED:
    os.environ.setdefault("WS4PY_MIDDLEWARE_PURE", "1")
PURE = os.environ.get("WS4PY_MIDDLEWARE_PURE", "") not in ("", "0")

# Who is started in the background hears no SIGINT, nor do the servers that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What fails in a helper shows its values, as in a test. Here, because what failed before is collected first.
pytest.register_assert_rewrite(
    "tests.core.codec",
    "tests.core.connections",
    "tests.core.handshakes",
    "tests.core.pair",
    "tests.core.parsing",
    "tests.core.wire",
)

# A deadline for one example measures what else runs on the machine.
_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("ci", _COMMON, max_examples=200, derandomize=True)
settings.register_profile("few", _COMMON, max_examples=25, derandomize=True)
settings.register_profile("full", _COMMON, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """
    Refuse to test what was compiled from something else than what lies here.

    The compiled build is not looked through for doctests: pytest would import the sources beside it.
    """
    if PURE:
        return
    # A wheel is written file by file: there it says nothing which of them is the newest.
    for path in COMPILED if PACKAGE.parent == config.rootpath else []:
        built = path.stat().st_mtime
        stem = path.name.partition(".")[0]
        # What only C can do is compiled from the .pyx; the .py beside it is another way to do it.
        kind = ".pyx" if path.with_name(f"{stem}.pyx").exists() else ".py"
        for suffix in (kind, ".pxd"):
            source = path.with_name(stem + suffix)
            if source.exists() and source.stat().st_mtime > built:
                name = source.relative_to(PACKAGE.parent)
                raise pytest.UsageError(f"{name} has changed since it was compiled; run scripts/build")
    named = [arg for arg in config.args if Path(arg).resolve().is_relative_to(PACKAGE)]
    if named and config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        raise pytest.UsageError("doctests are run in the pure build; set WS4PY_MIDDLEWARE_PURE=1")
    config.args = [arg for arg in config.args if arg not in named]


def pytest_collection_finish() -> None:
    """
    Leave what thousands of collected tests are made of out of all later collections of garbage.

    Many tests ask for one, to see what they have left; each would take half a second.
    """
    gc.collect()
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()


def pytest_report_header() -> str:
    """Say which build is tested."""
    return f"build: {'pure' if PURE else 'compiled'}"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """
    Leave out what is no file of tests.

    The look for doctests would import it, and applications that servers run set up Django, or an
    environment variable, for the whole process.
    """
    if collection_path.suffix != ".py" or collection_path.name.startswith("test_"):
        return None
    return True
