"""The plugin as pytest loads it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from tests.servers import ROOT

TESTS = """
from tests.testing import site


def test_right(websocket_client, fake_clock):
    client = websocket_client(site.wsgi)
    assert client.clock is fake_clock
    with client.connect("/echo") as ws:
        ws.send("hi")
        assert ws.receive() == "hi"


def test_wrong(websocket_client):
    ws = websocket_client(site.wsgi).connect("/closing")
    assert ws.receive() == "after"
"""

WATCH = """
import sys



def pytest_sessionstart(session):
    # What the plugin alone brings with it.
    names = [name for name in sys.modules if name.startswith("ws4py_middleware.")]
    print("LOADED", sorted(names), "werkzeug" in sys.modules)
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plugin")
    points = entry_points(group="pytest11")
    is_installed = any(point.value == "ws4py_middleware.testing.plugin" for point in points)
    load = [] if is_installed else ["-p", "ws4py_middleware.testing.plugin"]
    folder.joinpath("test_mine.py").write_text(TESTS)
    folder.joinpath("conftest.py").write_text(WATCH)
    folder.joinpath("pytest.ini").write_text("[pytest]\n")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-W", "error", *load],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_fixtures_are_there_and_failures_show_what_has_passed(output: str) -> None:
    assert "1 failed, 1 passed" in output
    assert "- WebSocket /closing -" in output
    assert "← 'before'\n← close 1008 'policy'\n(<WebSocketSession /closing closed with 1008>)" in output
    assert "WebSocket /echo" not in output


def test_plugin_costs_nothing_until_it_is_used(output: str) -> None:
    loaded = next(line for line in output.splitlines() if line.startswith("LOADED"))
    names = loaded.partition("[")[2].partition("]")[0].replace("'", "").split(", ")
    assert "ws4py_middleware.testing.plugin" in names
    assert set(names) <= {
        f"ws4py_middleware.{name}" for name in ("_build", "_version", "testing", "testing.plugin")
    }
    assert loaded.endswith("False")
