"""Which build the core is."""

from __future__ import annotations

from ws4py_middleware import core
from ws4py_middleware.core import masking, parser


def test_compiled_tells_whether_the_core_is_c() -> None:
    sources = {module.__file__.endswith(".py") for module in (masking, parser) if module.__file__}
    assert sources == {not core.COMPILED}
