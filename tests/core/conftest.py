"""What fails in a helper shows its values, as in a test."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.core.codec",
    "tests.core.connections",
    "tests.core.handshakes",
    "tests.core.pair",
    "tests.core.parsing",
    "tests.core.wire",
)
