"""docs/howto/testing.md: its tests are run as their reader would, and a failure says what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from tests.docs.pages import CODE
from tests.servers import ROOT

FOLDER = CODE / "testing"

#: The files of docs/code/testing, beside app.py, and how many tests each has.
FILES = {
    "test_asgi.py": 1,
    "test_clock.py": 2,
    "test_faults.py": 4,
    "test_first.py": 1,
    "test_handshake.py": 3,
    "test_live.py": 2,
    "test_site.py": 1,
}

FAILING = """
from app import app


def test_one_word_too_many(websocket_client):
    client = websocket_client(app)
    client.post("/login", {"name": "Ann"})
    ws = client.connect("/chat/blue")
    ws.send("hi")
    ws.receive()
    ws.receive()
"""


def run_pytest(*arguments: str | Path) -> str:
    points = entry_points(group="pytest11")
    is_installed = any(point.value == "ws4py_middleware.testing.plugin" for point in points)
    load = [] if is_installed else ["-p", "ws4py_middleware.testing.plugin"]
    path = os.pathsep.join(filter(None, [str(FOLDER), str(ROOT), os.environ.get("PYTHONPATH")]))
    options = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(FOLDER), "-W", "error", *load]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, arguments)],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout + done.stderr


def test_tests_of_the_page_pass_and_the_failure_is_as_shown(tmp_path: Path) -> None:
    failing = tmp_path / "test_failing.py"
    failing.write_text(FAILING)
    output = run_pytest(FOLDER, failing)
    assert f"1 failed, {sum(FILES.values())} passed" in output, output
    page = (ROOT / "docs" / "howto" / "testing.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    for line in shown[1].splitlines():
        assert line in output


def test_each_file_of_the_folder_is_counted() -> None:
    assert {path.name for path in FOLDER.glob("*.py")} == {"app.py", *FILES}
