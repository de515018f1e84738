"""Servers for the command line's tests: one with, one without TLS, for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Server, start


@pytest.fixture(scope="session")
def peer() -> Iterator[Server]:
    with start("gunicorn-gthread", "tests.cli.peer_app:app") as server:
        yield server


@pytest.fixture(scope="session")
def tls_peer() -> Iterator[Server]:
    with start("gunicorn-gthread", "tests.cli.peer_app:app", tls=True) as server:
        yield server
