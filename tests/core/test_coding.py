"""core.coding: an extension, and the sizes of what went through it."""

from __future__ import annotations

from tests.core.codec import codec
from ws4py_middleware.core.coding import Coding


def test_each_direction_has_sizes_of_its_own() -> None:
    extension = codec()
    sent, received = Coding(extension), Coding(extension)
    assert sent.extension is received.extension is extension
    sent.plain += 10
    sent.packed += 4
    assert (sent.plain, sent.packed, received.plain, received.packed) == (10, 4, 0, 0)
