"""The doctor on real servers, healthy and sick: what it finds is what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.cli.doctor.setups import Setup, make_setups, run_doctor
from tests.servers import certificates

pytestmark = pytest.mark.slow

#: So many servers at a time.
_AT_ONCE = 4

_NAMES = tuple(make_setups("", ""))

Runs = dict[str, tuple[Setup, "Future[tuple[int, dict[str, Any]]]"]]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    cert, key, _ = map(str, certificates())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield {
            name: (setup, pool.submit(run_doctor, setup)) for name, setup in make_setups(cert, key).items()
        }
        pool.shutdown(cancel_futures=True)


def levels(report: dict[str, Any], *wanted: str) -> set[str]:
    return {each["code"] for each in report["findings"] if each["level"] in wanted}


@pytest.mark.parametrize("name", _NAMES)
def test_doctor_of_a_setup_finds_what_is_wrong(name: str, runs: Runs) -> None:
    setup, future = runs[name]
    status, report = future.result()
    assert levels(report, "warn", "bad") == setup.expected, report
    assert status == (1 if levels(report, "bad") else 0)
    assert report["healthy"] is (status == 0)


def find(runs: Runs, name: str, code: str) -> dict[str, Any]:
    _, report = runs[name][1].result()
    [found] = [each for each in report["findings"] if each["code"] == code]
    return dict(found)


def test_each_problem_says_what_to_do(runs: Runs) -> None:
    for _, future in runs.values():
        for each in future.result()[1]["findings"]:
            assert each["level"] in ("ok", "info") or (each["do"] and each["why"]), each


@pytest.mark.parametrize("name", ["gunicorn gthread", "gunicorn gevent", "gunicorn with TLS", "uwsgi"])
def test_healthy_wsgi_server_shows_that_all_of_it_works(name: str, runs: Runs) -> None:
    _, report = runs[name][1].result()
    shown = {"started", "handshake", "ping", "early", "limit", "origin", "close", "handed_over", "drain"}
    assert shown | ({"tls"} if "TLS" in name else set()) == levels(report, "ok")


def test_finding_names_the_middleware_that_is_in_the_way(runs: Runs) -> None:
    assert "(ReadsAhead)" in find(runs, "an input of somebody else", "input_replaced")["why"]


def test_finding_has_the_exception_of_the_handler(runs: Runs) -> None:
    found = find(runs, "a handler that fails", "handler_failed")
    assert "LookupError: there is no room 7" in found["why"]


def test_finding_lists_the_routes_that_there_are(runs: Runs) -> None:
    assert "/echo, /chat/<room>" in find(runs, "another path", "route_not_found")["do"]


def test_drain_is_seen_with_its_code(runs: Runs) -> None:
    assert "closed with 1001" in find(runs, "gunicorn gthread", "drain")["what"]
    assert "closed the socket with 1001" in find(runs, "uwsgi that reloads", "sigterm_reloads")["what"]


def test_threads_are_counted(runs: Runs) -> None:
    assert "20 open sockets hold 20 threads" in find(runs, "functions", "threads_held")["what"]
