"""docs/howto/figures.md: what its files print, count, trace and log."""

from __future__ import annotations

import logging
import runpy
import signal
from pathlib import Path

import pytest
from gunicorn.config import Config
from websockets.sync.client import connect

from tests.docs.pages import CODE
from tests.servers import start, wait_for
from ws4py_middleware import tracing

FOLDER = CODE / "figures"


@pytest.mark.parametrize("is_shared", [False, True], ids=["one process", "workers together"])
def test_application_tells_its_figures_to_the_log_and_to_prometheus(is_shared: bool, tmp_path: Path) -> None:
    options = ["--config", str(FOLDER / "gunicorn.conf.py")]
    env = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)} if is_shared else {}
    with start("gunicorn-gthread", "docs.code.figures.app:app", options=options, env=env) as server:

        def has_closed() -> bool:
            return 'websocket_connections_closed_total{code="1000"} 1.0' in str(server.http("/metrics").body)

        with connect(server.ws_url + "/chat", proxy=None) as client:
            client.send("hello")
            assert client.recv(timeout=5) == "hello"
        wait_for(lambda: "1 messages in 0." in server.log, what="what closed() prints")
        if is_shared:
            server.signal(signal.SIGHUP)  # what a worker has counted is written at its end
        wait_for(has_closed, 15, "the count")
        assert "Traceback" not in server.log


def test_hook_of_the_page_is_gunicorns() -> None:
    config = Config()
    config.set("child_exit", runpy.run_path(str(FOLDER / "gunicorn.conf.py"))["child_exit"])


def test_figures_of_the_manager_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(FOLDER / "manager.py"))
    assert capsys.readouterr().out.startswith("0 ")


def test_log_of_the_ends_is_switched_on() -> None:
    logger = logging.getLogger("ws4py_middleware.access")
    root = logging.getLogger()
    level, handlers = logger.level, root.handlers[:]
    try:
        runpy.run_path(str(FOLDER / "log.py"))
        assert logger.isEnabledFor(logging.INFO)
    finally:
        logger.setLevel(level)
        root.handlers[:] = handlers


def test_spans_are_switched_on_and_off() -> None:
    try:
        runpy.run_path(str(FOLDER / "opentelemetry.py"))
    finally:
        tracing.uninstrument()
