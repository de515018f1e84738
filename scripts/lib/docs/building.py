"""How Sphinx is run: in a process of its own, in all cores, and with warnings for errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
HTML = ROOT / "reports" / "docs"


class Built(NamedTuple):
    """What came of a run: whether all was well, and what Sphinx wrote."""

    passed: bool
    text: str


def run_sphinx(builder: str, output: Path, *options: str) -> Built:
    # The trees that both builders read are the same, and lie beside what they write.
    trees = HTML.with_name("docs-trees")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-n",
        "-W",
        "--keep-going",
        "-b",
        builder,
        "-d",
        str(trees),
    ]
    environ = {**os.environ, "WS4PY_MIDDLEWARE_PURE": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, "-d", str(trees), *options, str(DOCS), str(output)],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Built(done.returncode == 0, done.stdout)


def build(*, fresh: bool = False) -> Built:
    """Build the HTML; what has not changed is kept, unparsed and without what Sphinx had to say of it."""
    return run_sphinx("html", HTML, "-j", "auto", *(["-E", "-a"] if fresh else []))


def try_prompts() -> Built:
    """Run what pages show at a Python prompt, in blocks of ``{doctest}``, where there are any."""
    if not any("{doctest}" in page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")):
        return Built(True, "")
    return run_sphinx("doctest", HTML.with_name("docs-doctest"))
