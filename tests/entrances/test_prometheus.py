"""Prometheus on real servers: one process, and gunicorn's workers together, also when one is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.servers import Server, start, wait_for
from ws4py_middleware.prometheus import expose

APP = "tests.entrances.figures_app:wsgi"


def scrape(server: Server) -> dict[str, float]:
    """Return the samples by name, or by ``name{code}``."""
    found = {}
    for family in text_string_to_metric_families(server.http("/metrics").body.decode()):
        for sample in family.samples:
            code = sample.labels.get("code")
            found[sample.name if code is None else f"{sample.name}{{{code}}}"] = sample.value
    return found


def wait_for_figures(server: Server, **expected: float) -> dict[str, float]:
    def is_there() -> bool:
        found = scrape(server)
        return {name: found.get(name) for name in expected} == expected

    wait_for(is_there, 10, f"{expected}")
    return scrape(server)


@contextmanager
def open_ws(server: Server) -> Iterator[tuple[ClientConnection, int]]:
    """Connect; return which process has it, too."""
    found: list[ClientConnection] = []

    def is_taken() -> bool:
        try:
            found.append(connect(server.ws_url + "/ws", compression=None, proxy=None))
        except InvalidStatus as error:
            # A worker that is about to end accepts for a moment more, and sends new ones away.
            if error.response.status_code != 503:
                raise
        return bool(found)

    wait_for(is_taken, 10, "a worker that is there to stay")
    with found[0] as client:
        yield client, int(client.recv(10))


def echo(client: Any, count: int) -> None:
    for number in range(count):
        client.send(str(number))
        assert client.recv(10) == str(number)


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "gunicorn-gevent", "cheroot"])
def test_one_process_is_asked_for_what_it_has(kind: str) -> None:
    with start(kind, APP) as server:
        with open_ws(server) as (client, _):
            echo(client, 3)
            found = scrape(server)
            assert found["websocket_connections"] == 1
            assert found["websocket_connections_opened_total"] == 1
            assert found["websocket_messages_received_total"] == 3
            assert found["websocket_messages_sent_total"] == 4
            assert found["websocket_received_bytes_total"] == 3 * 7
            assert found["websocket_queued_bytes"] == 0
            assert found["websocket_compressed_sent_bytes_total"] == 0
        found = wait_for_figures(server, websocket_connections=0)
        assert found["websocket_connections_closed_total{1000}"] == 1
        assert found["websocket_messages_received_total"] == 3
        assert "Traceback" not in server.log


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_workers_are_added_up_and_those_that_are_gone_keep_their_counters(
    worker: str, options: list[str], tmp_path: Path
) -> None:
    figures = tmp_path / "figures"
    figures.mkdir()
    config = tmp_path / "conf.py"
    config.write_text("from ws4py_middleware.prometheus import child_exit\n")
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(figures)}
    words = ["--workers", "2", "--config", str(config), *options]
    with start(f"gunicorn-{worker}", APP, options=words, env=environment) as server, ExitStack() as stack:
        clients: dict[int, list[ClientConnection]] = {}
        while len(clients) < 2 or sum(map(len, clients.values())) < 4:
            client, pid = stack.enter_context(open_ws(server))
            clients.setdefault(pid, []).append(client)
            assert sum(map(len, clients.values())) < 200
        count = sum(map(len, clients.values()))
        for several in clients.values():
            for client in several:
                echo(client, 5)
        expected = {
            "websocket_connections_opened_total": count,
            "websocket_messages_received_total": 5 * count,
            "websocket_messages_sent_total": 6 * count,
        }
        wait_for_figures(server, websocket_connections=count, **expected)
        killed, other = clients
        os.kill(killed, signal.SIGKILL)
        left = len(clients[other])
        wait_for_figures(server, websocket_connections=left, **expected)
        # One that ends in order has told of its end.
        os.kill(other, signal.SIGTERM)
        for client in clients[other]:
            with pytest.raises(Exception, match=r"1001|1012"):
                client.recv(10)
        found = wait_for_figures(server, websocket_connections=0, **expected)
        codes = [
            value for name, value in found.items() if name.startswith("websocket_connections_closed_total{")
        ]
        assert sum(codes) == left
        with open_ws(server) as (_, pid):
            assert pid not in clients
            wait_for_figures(server, websocket_connections=1, websocket_connections_opened_total=count + 1)
        assert "Traceback" not in server.log


def test_once_is_enough_and_an_interval_has_to_be_one() -> None:
    registry = CollectorRegistry()
    expose(registry)
    expose(registry)
    assert registry.get_sample_value("websocket_connections") is not None
    with pytest.raises(ValueError, match=r"interval is 0 seconds; it has to be above 0"):
        expose(registry, interval=0)
