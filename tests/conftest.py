"""
What all tests share: how hard Hypothesis tries, which files are looked into, and that Ctrl-C is heard.

``ci`` is for every run; ``full`` is what a release has to pass. Choose with
``--hypothesis-profile=full`` or the environment variable ``HYPOTHESIS_PROFILE``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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
settings.register_profile("full", _COMMON, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """
    Leave out what is no file of tests.

    The look for doctests would import it, and applications that servers run set up Django, or an
    environment variable, for the whole process.
    """
    if collection_path.suffix != ".py" or collection_path.name.startswith("test_"):
        return None
    return True
