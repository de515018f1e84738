"""What pages name is there: files, scripts and their options, modules of the command line."""

from __future__ import annotations

import glob
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
FOLDERS = "tests|scripts|docs|benchmarks|examples|ws4py_middleware|reports"

#: Only there when something has been run or built.
MADE = ("reports/",)
SCRIPTS = sorted(f"scripts/{path.name}" for path in (ROOT / "scripts").iterdir() if path.is_file())

#: What a page installs before it is run.
ELSEWHERE = {"build", "twine"}


def find_commands(script: str) -> Iterator[tuple[str, list[str]]]:
    """Give each page and the arguments with which it calls a script in a console block."""
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in re.findall(r"^ *\$ (.*)$", block, re.MULTILINE):
                words = shlex.split(line, comments=True)
                if script in words:
                    yield page.name, words[words.index(script) + 1 :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^( *)(`{3,}).*?^\1\2$", "", text, flags=re.DOTALL | re.MULTILINE)
    named = re.findall(rf"`((?:{FOLDERS})/[\w./*-]+)`", prose)
    missing = [name for name in named if not name.startswith(MADE) and not glob.glob(str(ROOT / name))]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_modules_that_a_page_runs_are_there(page: Path) -> None:
    modules = set(re.findall(r"python3? -m ([\w.]+)", page.read_text(encoding="utf-8")))
    assert not [module for module in modules - ELSEWHERE if importlib.util.find_spec(module) is None]


@pytest.mark.parametrize("script", SCRIPTS)
def test_options_of_scripts_are_those_of_their_help(script: str) -> None:
    command = [str(ROOT / script), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    for page, arguments in find_commands(script):
        for option in arguments:
            # What follows the options may be pytest's, which has short ones.
            if option.startswith("--"):
                assert option.partition("=")[0] in shown, (page, arguments)


def test_page_on_testing_has_each_folder_of_tests() -> None:
    page = (ROOT / "docs" / "maintaining" / "testing.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("*.py"))}
    assert folders == set(
        re.findall(r"`tests/(\w+)`", page.split("## Where a test belongs")[1].split("## ")[0])
    )
