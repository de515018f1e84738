"""examples/data_source prints what its README says."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import ROOT


def test_data_source_example_prints_what_the_readme_says() -> None:
    folder = ROOT / "examples" / "data_source"
    command = [sys.executable, "-X", "utf8", "-W", "error", "app.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"$ python app.py\n{done.stdout.decode()}```" in readme
