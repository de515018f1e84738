"""P31: whatever a server does, a client of any kind ends with a typed exception or a close code, and soon."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.core.wire import BINARY, CLOSE, build_frame
from tests.entrances.scripted import BOUND, Visit, scripted
from tests.promises.bad_servers import (
    ENDED,
    REFUSED,
    SLOW,
    WITH_DEFLATE,
    Script,
    send_endlessly,
    send_small_bombs,
)
from tests.promises.clientside import SLACK, ClientProcess, Job, Outcome, at_most, trusting
from tests.promises.wire import MiB
from tests.servers import server_context


def ask(clients: ClientProcess, job: Job) -> Outcome:
    """Let a client do something that must not cost more than is promised."""
    with at_most(8 * MiB, clients):
        return clients.ask(job)


@pytest.mark.parametrize("name", REFUSED)
def test_p31_server_that_opens_no_websocket_is_a_handshakeerror(clients: ClientProcess, name: str) -> None:
    bad = REFUSED[name]
    with scripted(bad.script) as server:
        outcome = ask(clients, Job(server.url, bad.options))
    assert bad.error in outcome.error
    assert outcome.status == bad.status
    assert bad.match in outcome.message
    assert outcome.body <= 64 * 1024
    assert outcome.seconds <= SLACK


def test_p31_slow_servers_have_open_timeout_for_all_of_it(clients: ClientProcess) -> None:
    with contextlib.ExitStack() as stack:
        jobs = []
        for bad in SLOW.values():
            server = stack.enter_context(scripted(bad.script))
            jobs.append(Job(server.url, {"open_timeout": 0.3, **bad.options}))
        outcomes = clients.ask_all(jobs)
    for bad, outcome in zip(SLOW.values(), outcomes, strict=True):
        assert bad.error in outcome.error
        assert bad.match in outcome.message
        assert outcome.seconds <= 0.3 + SLACK


@pytest.mark.parametrize("name", ENDED)
def test_p31_server_that_breaks_the_rules_is_told_so(clients: ClientProcess, name: str) -> None:
    bad = ENDED[name]
    with scripted(bad.script) as server:
        outcome = ask(clients, Job(server.url, bad.options))
    assert (outcome.code, outcome.sizes) == (bad.code, bad.sizes)
    assert outcome.seconds <= SLACK


@pytest.mark.parametrize(
    "script",
    [send_small_bombs, send_endlessly(b"", build_frame(BINARY, bytes(65536)))],
    ids=["small-bombs", "endless-messages"],
)
def test_p31_server_that_sends_more_than_is_read_costs_its_share(
    clients: ClientProcess, script: Script
) -> None:
    """Nobody takes the messages for a while; so they wait in the network, and not here."""
    with scripted(script) as server:
        outcome = ask(clients, Job(server.url, WITH_DEFLATE, hold=0.3, take=3))
    assert len(outcome.sizes) == 3


def test_p31_servers_that_keep_tcp_open_after_the_end_are_left(clients: ClientProcess) -> None:
    """Whether they have answered the Close frame or not: descriptors are closed while they hold on."""
    has_left = threading.Event()

    def script(visit: Visit) -> None:
        visit.accept()
        assert visit.read_frame()[0] == CLOSE
        if b" /answer " in visit.request:
            visit.send(build_frame(CLOSE, b"\x03\xe8"))
        assert has_left.wait(BOUND)

    with (
        scripted(script, parallel=True) as plain,
        scripted(script, tls=server_context(), parallel=True) as tls,
    ):
        jobs = [
            Job(server.url + path, {"close_timeout": 0.3, **options}, close=True)
            for path in ("/answer", "/none")
            for server, options in ((plain, {}), (tls, {"ssl_options": trusting()}))
        ]
        try:
            outcomes = clients.ask_all(jobs)
            clients.check_idle()
        finally:
            has_left.set()
    assert [outcome.code for outcome in outcomes] == [1000, 1000, 1006, 1006]
    assert all(outcome.seconds <= 0.3 + SLACK for outcome in outcomes)
