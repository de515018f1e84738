"""One source, two builds: which is made, which is imported, and what is said of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.servers import ROOT
from ws4py_middleware import _build

PACKAGE = ROOT / "ws4py_middleware"
TYPED = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.pxd"))

#: Which build it is, by its own word and by what was imported; then two managers with two connections each.
LOOK = """
import logging, socket, sys
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
logging.getLogger("ws4py_middleware.access").disabled = True
import ws4py_middleware.core.connection as connection
from ws4py_middleware.core import COMPILED
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.websocket import EchoWebSocket
ends = []
for _ in range(2):
    manager = WebSocketManager()
    for _ in range(2):
        mine, theirs = socket.socketpair()
        ends.append(theirs)
        manager.add(EchoWebSocket(mine))
    manager.stop()
print(COMPILED, connection.__file__)
"""


def build(folder: Path, hook: str, **variables: str) -> Path:
    """Have setuptools build a distribution, as pip has it do so; return it."""
    output = folder / "dist"
    output.mkdir(exist_ok=True)
    code = f"from setuptools import build_meta; build_meta.{hook}({str(output)!r})"
    done = run([sys.executable, "-c", code], folder, variables)
    (result,) = output.iterdir() if hook == "build_sdist" else output.glob("*.whl")
    (folder / f"{hook}.log").write_text(done.stdout + done.stderr)
    return result


def copy(sdist: Path, folder: Path) -> None:
    """Copy an sdist, and what Cython has written of it: that is good where it is newer than its source."""
    shutil.copytree(sdist, folder)
    written = ROOT / "build" / "cython"
    if written.is_dir():
        shutil.copytree(written, folder / "build" / "cython")


def run(command: list[str], folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with nothing of this run's own choice of a build."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WS4PY_MIDDLEWARE")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def look(site: Path, **variables: str) -> tuple[bool, str, list[str]]:
    """Return what an installed package says: whether it is compiled, a module's file, what it logs."""
    done = run([sys.executable, "-c", LOOK], site, {"PYTHONPATH": str(site), **variables})
    compiled, file = done.stdout.split()
    return compiled == "True", file, done.stderr.splitlines()


def install(wheel: Path, site: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("checkout")
    listing = ["git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard"]
    tracked = subprocess.run(listing, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if not name.startswith(("docs/", "benchmarks/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    with tarfile.open(build(folder, "build_sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


@pytest.fixture(scope="module")
def compiled(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the sdist, compiled in a hurry."""
    folder = tmp_path_factory.mktemp("compiled") / "source"
    copy(sdist, folder)
    return build(folder, "build_wheel", CFLAGS="-O0", WS4PY_MIDDLEWARE_REQUIRE_COMPILED="1")


@pytest.fixture(scope="module")
def without_compiler(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built where there is no C compiler."""
    folder = tmp_path_factory.mktemp("pure") / "source"
    copy(sdist, folder)
    return build(folder, "build_wheel", CC="/bin/false")


@pytest.mark.slow
def test_sdist_has_what_the_package_is_built_and_tested_from(sdist: Path) -> None:
    missing = [
        path.relative_to(ROOT)
        for path in (*PACKAGE.rglob("*"), *(ROOT / "tests" / "core").rglob("*"))
        if path.suffix in (".py", ".pyx", ".pxd", ".typed", ".js", ".html")
        and not (sdist / path.relative_to(ROOT)).exists()
    ]
    assert missing == []
    for name in ("setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        assert (sdist / name).is_file()
    assert [path for path in sdist.rglob("*") if path.suffix in (".so", ".c", ".pyc")] == []


@pytest.mark.slow
def test_compiled_wheel_has_both_builds_and_a_variable_chooses(compiled: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(compiled).namelist()
    libraries = {name.partition(".")[0] for name in names if name.endswith(".so")}
    assert libraries == {str(path.with_suffix("")) for path in TYPED}
    assert {f"{library}.py" for library in libraries} <= set(names)
    assert [name for name in names if name.endswith((".c", ".html")) and "static" not in name] == []
    assert "py3-none-any" not in compiled.name
    site = install(compiled, tmp_path)
    assert look(site) == (True, str(next((site / PACKAGE.name / "core").glob("connection.*.so"))), [])
    said, file, log = look(site, WS4PY_MIDDLEWARE_PURE="1")
    assert (said, file) == (False, str(site / PACKAGE.name / "core" / "connection.py"))
    assert log == ["INFO this is the pure Python build, as WS4PY_MIDDLEWARE_PURE asks for"]
    assert look(site, WS4PY_MIDDLEWARE_PURE="0")[0]


@pytest.mark.slow
def test_install_without_a_compiler_succeeds_and_says_once_that_it_is_pure(
    without_compiler: Path, tmp_path: Path
) -> None:
    assert without_compiler.name.endswith("-py3-none-any.whl")
    assert [name for name in zipfile.ZipFile(without_compiler).namelist() if name.endswith(".so")] == []
    log = (without_compiler.parents[1] / "build_wheel.log").read_text()
    assert log.count("NOT COMPILED, what is installed is the pure Python build") == 1
    said, file, lines = look(install(without_compiler, tmp_path))
    assert (said, Path(file).suffix) == (False, ".py")
    assert [line.partition(":")[0] for line in lines] == ["WARNING this is the pure Python build"]
    assert "gcc" in lines[0]
    assert "pip install" in lines[0]


@pytest.mark.slow
def test_what_cannot_be_compiled_is_an_error_where_it_is_required(sdist: Path, tmp_path: Path) -> None:
    copy(sdist, tmp_path / "source")
    with pytest.raises(AssertionError, match="/bin/false"):
        build(tmp_path / "source", "build_wheel", CC="/bin/false", WS4PY_MIDDLEWARE_REQUIRE_COMPILED="1")


@pytest.mark.slow
def test_half_a_build_is_refused_and_serves_as_pure(compiled: Path, tmp_path: Path) -> None:
    site = install(compiled, tmp_path)
    next((site / PACKAGE.name / "core").glob("connection.*.so")).unlink()
    with pytest.raises(
        AssertionError, match="ImportError: ws4py_middleware is compiled in part: core/connection"
    ):
        look(site)
    assert look(site, WS4PY_MIDDLEWARE_PURE="1")[0] is False


@pytest.mark.slow
def test_wheel_is_pure_when_that_is_asked_for(sdist: Path, tmp_path: Path) -> None:
    shutil.copytree(sdist, tmp_path / "source")
    wheel = build(tmp_path / "source", "build_wheel", WS4PY_MIDDLEWARE_PURE="1")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_all_that_is_compiled_is_looked_for() -> None:
    typed, _ = _build.find_modules(str(PACKAGE))
    assert typed == {str(path.relative_to(PACKAGE.name).with_suffix("")) for path in TYPED}
    assert all((ROOT / path).with_suffix(".py").exists() for path in TYPED)


def test_build_of_another_version_is_refused() -> None:
    with pytest.raises(ImportError, match=r"core/old is of another version\. Install it again"):
        _build.check({"core/masking"}, {"core/masking", "core/old"})


def test_modules_of_another_interpreter_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    for name in ("a.pxd", "b.pxd", f"a{EXTENSION_SUFFIXES[0]}", "b.cpython-27-riscv.so", "c.py"):
        (tmp_path / "core" / name).touch()
    assert _build.find_modules(str(tmp_path)) == ({"core/a", "core/b"}, {"core/a"})


def test_source_finder_finds_sources_of_its_package_only(tmp_path: Path) -> None:
    (tmp_path / f"hot{EXTENSION_SUFFIXES[0]}").touch()
    finder = _build.SourceFinder("house")
    assert finder.find_spec("house.hot", [str(tmp_path)]) is None
    (tmp_path / "hot.py").touch()
    finder.invalidate_caches()
    spec = finder.find_spec("house.hot", [str(tmp_path)])
    assert spec is not None
    assert spec.origin == str(tmp_path / "hot.py")
    assert finder.find_spec("houses.hot", [str(tmp_path)]) is None
    assert finder.find_spec("house.hot", None) is None
