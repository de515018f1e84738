"""Servers and clients for the promises: one of each kind for all, fresh ones for those who count bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.clients import KINDS
from tests.promises.attacker import wait_idle, warm_up
from tests.promises.clientside import ClientProcess
from tests.servers import Server, start

APP = "tests.promises.app:app"
SYNC, GTHREAD, GEVENT = "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent"
ALL = (SYNC, GTHREAD, GEVENT)
#: One for each manager: under sync and gthread it is the same.
BOTH = (GTHREAD, GEVENT)

#: glibc keeps free memory for each thread that there was, as many as the machine has had us start. What
#: connections cost is to be seen without; how much it is with, :mod:`.test_memory` sees, too.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}

StartFresh = Callable[..., AbstractContextManager[Server]]


def check_log(log: str, asked_for: str | None = None) -> None:
    """P25: nothing that a client does makes a traceback, nor any other error."""
    if asked_for is None:
        assert "Traceback" not in log, log
        assert "ERROR" not in log, log
        assert "CRITICAL" not in log, log
    else:
        # The test's own handlers raise something; each traceback is of that.
        assert log.count("Traceback") == log.count(f"\n{asked_for}"), log


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[dict[str, Server]]:
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}

        class Started(dict[str, Server]):
            def __missing__(self, kind: str) -> Server:
                self[kind] = servers[kind] = stack.enter_context(start(kind, APP))
                warm_up(servers[kind])
                return servers[kind]

        yield Started()
        for server in servers.values():
            check_log(server.log)


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, shared_servers: dict[str, Server]) -> Iterator[Server]:
    """One server for many tests; nobody may have made it print a traceback (P25)."""
    server = shared_servers[kind]
    # What another test has flooded it with may take its time; what is sent before the end is delivered.
    wait_idle(server, timeout=20)
    pid, before = server.pid, len(server.log)
    yield server
    assert server.pid == pid, f"the worker has died:\n{server.log}"
    check_log(server.log[before:])


@pytest.fixture
def start_fresh(kind: str) -> StartFresh:
    """Return what starts a server of one's own; the only tracebacks are those that the test asks for."""

    @contextlib.contextmanager
    def run(asked_for: str | None = None, **options: Any) -> Iterator[Server]:
        with start(kind, APP, **options) as server:
            warm_up(server)
            pid = server.pid
            yield server
            assert server.pid == pid, f"the worker has died:\n{server.log}"
            check_log(server.log, asked_for)

    return run


@pytest.fixture(scope="module", params=BOTH)
def fresh(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the module's own, for those who count bytes."""
    with start(request.param, APP, env=ONE_ARENA) as server:
        warm_up(server)
        pid = server.pid
        yield server
        assert server.pid == pid, f"the worker has died:\n{server.log}"
        check_log(server.log)


@pytest.fixture(scope="session", params=KINDS)
def client_process(request: pytest.FixtureRequest) -> Iterator[ClientProcess]:
    process = ClientProcess(request.param)
    try:
        process.warm_up()
        yield process
        check_log(process.log)
        assert "Warning" not in process.log, process.log
    finally:
        process.stop()


@pytest.fixture
def clients(client_process: ClientProcess) -> Iterator[ClientProcess]:
    """Clients of one kind; nothing may be left of what a server did to them, nor may it be in the log."""
    before = len(client_process.log)
    yield client_process
    client_process.check_idle()
    check_log(client_process.log[before:])
