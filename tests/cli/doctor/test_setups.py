"""The doctor on real servers, healthy and sick: what it finds is what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.cli.doctor.setups import FEW_DESCRIPTORS, Setup, make_setups, run_doctor
from tests.servers import ROOT, certificates
from ws4py_middleware.cli.doctor.findings import Finding, Report, is_healthy
from ws4py_middleware.cli.doctor.kinds import Level

pytestmark = pytest.mark.slow

#: So many servers at a time.
_AT_ONCE = 4

_NAMES = tuple(make_setups("", ""))

Runs = dict[str, tuple[Setup, "Future[Report]"]]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    cert, key, _ = map(str, certificates())
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(_AT_ONCE) as pool:
        # As from a shell in the checkout, with the build that is there.
        patch.chdir(ROOT)
        patch.delenv("WS4PY_MIDDLEWARE_PURE", raising=False)
        patch.delenv("WEB_CONCURRENCY", raising=False)
        yield {
            name: (setup, pool.submit(run_doctor, setup)) for name, setup in make_setups(cert, key).items()
        }
        pool.shutdown(cancel_futures=True)


def codes(report: Report, *levels: Level) -> set[str]:
    return {each.code for each in report.findings if each.level in levels}


@pytest.mark.parametrize("name", _NAMES)
def test_doctor_of_a_setup_finds_what_is_wrong(name: str, runs: Runs) -> None:
    setup, future = runs[name]
    report = future.result()
    assert codes(report, Level.WARN, Level.BAD) == setup.expected, report
    assert is_healthy([report]) == (not codes(report, Level.BAD))


def find(runs: Runs, name: str, code: str) -> Finding:
    [found] = [each for each in runs[name][1].result().findings if each.code == code]
    return found


def test_each_problem_says_why_and_what_to_do(runs: Runs) -> None:
    for _, future in runs.values():
        for each in future.result().findings:
            assert each.level in (Level.OK, Level.INFO) or (each.do and each.why), each


@pytest.mark.parametrize("name", ["gunicorn gthread", "gunicorn gevent", "gunicorn with TLS", "uwsgi"])
def test_healthy_wsgi_server_shows_that_all_of_it_works(name: str, runs: Runs) -> None:
    shown = {"started", "handshake", "ping", "early", "limit", "origin", "close", "handed_over", "drain"}
    assert codes(runs[name][1].result(), Level.OK) == shown | ({"tls"} if "TLS" in name else set())


def test_finding_names_the_middleware_that_is_in_the_way(runs: Runs) -> None:
    assert "(ReadsAhead)" in find(runs, "an input of somebody else", "input_replaced").why


def test_finding_has_the_exception_of_the_handler(runs: Runs) -> None:
    assert "LookupError: there is no room 7" in find(runs, "a handler that fails", "handler_failed").why


def test_finding_lists_the_routes_that_there_are(runs: Runs) -> None:
    assert "/echo, /chat/<room>" in find(runs, "another path", "route_not_found").do


def test_few_descriptors_are_seen(runs: Runs) -> None:
    found = find(runs, "few descriptors", "few_descriptors")
    assert found.what == f"a process may open {FEW_DESCRIPTORS} files, and max_connections is 10000"
    assert "ulimit -n 11024" in found.do


def test_a_limit_that_holds_is_no_problem(runs: Runs) -> None:
    assert "429" in find(runs, "few handshakes", "limited").what


def test_drain_is_seen_with_its_code(runs: Runs) -> None:
    assert "closed with 1001" in find(runs, "gunicorn gthread", "drain").what
    assert "closed the socket with 1001" in find(runs, "uwsgi that reloads", "sigterm_reloads").what


def test_threads_are_counted(runs: Runs) -> None:
    # On a busy machine some of those that have just ended are counted, too.
    assert re.match(r"20 open sockets hold [12]\d threads", find(runs, "functions", "threads_held").what)
