"""How Sphinx is run: in a process of its own, in all cores, and with warnings for errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
HTML = ROOT / "reports" / "docs"
#: What the builders have read, and need not read again.
TREES = HTML.with_name("docs-trees")


class Built(NamedTuple):
    """What came of a run: whether all was well, and what Sphinx wrote."""

    passed: bool
    text: str


def run_sphinx(builder: str, output: Path, *options: str) -> Built:
    strict = ("-q", "-n", "-W", "--keep-going")
    command = [sys.executable, "-m", "sphinx", *strict, "-b", builder, "-d", str(TREES), *options]
    environ = {**os.environ, "WS4PY_MIDDLEWARE_PURE": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, str(DOCS), str(output)],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(TREES, ignore_errors=True)  # what has warned once would be silent the next time
    return Built(done.returncode == 0, done.stdout)


def build(*, fresh: bool = False) -> Built:
    """Build the HTML; what has not changed is kept, unparsed and without what Sphinx had to say of it."""
    for folder in (HTML, TREES) if fresh else ():
        shutil.rmtree(folder, ignore_errors=True)
    return run_sphinx("html", HTML, "-j", "auto")


def try_prompts() -> Built:
    """Run what pages show at a Python prompt, in blocks of ``{doctest}``, where there are any."""
    if not any("{doctest}" in page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")):
        return Built(True, "")
    return run_sphinx("doctest", HTML.with_name("docs-doctest"))
