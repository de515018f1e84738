"""The client that runs in its caller's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tests.clients.session import Call, Kind
from ws4py_middleware.client import WebSocketBaseClient


@contextlib.contextmanager
def here() -> Iterator[Call]:
    """Live in the test's own thread."""

    def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return function(*args, **options)

    yield call


KIND = Kind(WebSocketBaseClient, here)
