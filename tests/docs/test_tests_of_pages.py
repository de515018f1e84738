"""The tests that the pages of the frameworks show: each passes, beside its application, by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import CODE
from tests.servers import ROOT

PYTEST = ("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-c", os.devnull)

#: What is run beside the application: with what, and what it prints.
COMMANDS = {
    CODE / "flask" / "test_app.py": (PYTEST, "4 passed"),
    CODE / "cherrypy" / "test_app.py": (PYTEST, "1 passed"),
    CODE / "fastapi" / "test_app.py": (PYTEST, "1 passed"),
    CODE / "django" / "manage.py": ((), "Ran 1 test"),
}


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.parent.name)
def test_test_of_the_page_passes(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    options, expected = COMMANDS[path]
    command = [*options, path.name, *([] if options else ["test"])]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, expected in done.stdout + done.stderr) == (0, True), done.stdout + done.stderr


def test_each_test_of_a_page_is_one_of_these() -> None:
    # The tutorial runs its own, and test_testing.py those of the page on testing.
    found = {path.relative_to(CODE).parts[0] for path in CODE.rglob("test*.py")} - {"tutorial", "testing"}
    assert found == {path.parent.name for path in COMMANDS}
