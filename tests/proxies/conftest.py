"""The backends: stock gunicorn, started once for all tests of a process that need one like it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.proxies.programs import make_folder
from tests.servers import Server, free_port, start


class Backend(NamedTuple):
    """A gunicorn, and the ways to it: two ports and a Unix socket."""

    server: Server
    port: int
    second: int
    path: str


@pytest.fixture(scope="session")
def backends() -> Iterator[Callable[[str], Backend]]:
    """Give the backend that serves an application."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def find(app: str) -> Backend:
            second = free_port()
            path = f"{stack.enter_context(make_folder())}/gunicorn.sock"
            # stunnel's line with the visitor's address is read when it comes, and need not.
            options = ["--proxy-protocol", "--bind", f"127.0.0.1:{second}", "--bind", f"unix:{path}"]
            server = stack.enter_context(start("gunicorn-gthread", app, options=options))
            return Backend(server, server.port, second, path)

        yield find
