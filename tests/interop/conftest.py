"""What all tests of this folder share: the servers, and the process of Node, while one test needs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.foreign.node import NODE
from tests.interop.servers import Serving


@pytest.fixture(scope="session")
def serving() -> Iterator[Serving]:
    with Serving() as serving:
        yield serving
    NODE.close()
