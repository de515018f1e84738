"""The files for browsers: where they are, and that whoever installs the package has them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomli

from tests.servers import ROOT
from ws4py_middleware import browser


def test_script_is_short_and_depends_on_nothing() -> None:
    lines = browser.text("replay.js").splitlines()
    assert len(lines) < 100
    assert max(map(len, lines)) <= 120
    assert not re.search(r"^\s*(import|export)\b|require\(|https?://", "\n".join(lines), re.MULTILINE)


@pytest.mark.interop
def test_script_is_one_for_pages_and_for_modules(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "this test needs Node"
    for name in ("classic.cjs", "module.mjs"):
        (tmp_path / name).write_text(browser.text("replay.js"))
        subprocess.run([node, "--check", tmp_path / name], check=True)


def test_there_are_only_files_that_exist() -> None:
    with pytest.raises(ValueError, match=r"no '\.\./__init__\.py' for browsers; there is replay\.js"):
        browser.path("../__init__.py")
    assert browser.path() == browser.path("replay.js")
    assert Path(browser.path()).parent == Path(browser.directory())


def test_all_that_is_no_module_is_in_the_wheel() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    package = ROOT / "ws4py_middleware"
    patterns = project["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in patterns["ws4py_middleware"] for path in package.glob(pattern)}
    shipped |= {path for pattern in patterns["*"] for path in package.rglob(pattern)}
    modules = (".py", ".pyc", ".so")
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix not in modules]
    # What tools leave behind is hidden.
    assert {path for path in files if "/." not in path.relative_to(ROOT).as_posix()} == shipped
