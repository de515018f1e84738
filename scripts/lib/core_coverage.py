"""
Check that each module of ``core/`` is fully covered by its own tests.

``core/frames.py`` belongs to ``tests/core/test_frames.py`` (and ``test_frames_*.py``, in any
folder below ``tests/core``). Lines and branches must be covered by these alone: a machine that
is only exercised through another is not tested. Runs one pytest for each module, two at a time, in the
pure build: into what is compiled nobody can look.

    python scripts/lib/core_coverage.py [MODULE...]
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "ws4py_middleware" / "core"


def get_names(module: Path) -> list[str]:
    """Return what a module's tests may be called: a package's module bears its folder's name, too."""
    if module.name == "__init__.py":
        return [module.parent.name]
    return [module.stem] if module.parent == CORE else [module.stem, f"{module.parent.name}_{module.stem}"]


def find_tests(module: Path) -> list[str]:
    """Return the test files that belong to a module."""
    patterns = [pattern for name in get_names(module) for pattern in (f"test_{name}.py", f"test_{name}_*.py")]
    return sorted({str(path) for pattern in patterns for path in (ROOT / "tests" / "core").rglob(pattern)})


def is_empty(module: Path) -> bool:
    """Tell whether a module holds nothing but a docstring and imports."""
    body = ast.parse(module.read_text()).body
    return all(isinstance(node, ast.Expr | ast.Import | ast.ImportFrom) for node in body)


def cover(module: Path) -> tuple[Path, bool, str]:
    """Run a module's own tests, and tell whether they cover it whole."""
    name = module.relative_to(ROOT)
    tests = find_tests(module)
    if not tests:
        return name, False, f"no tests/core/test_{get_names(module)[-1]}.py"
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "COVERAGE_FILE": os.path.join(folder, "data"),
            "WS4PY_MIDDLEWARE_PURE": "1",
        }
        python = [sys.executable, "-m"]
        run = [
            *python,
            "coverage",
            "run",
            "--source=ws4py_middleware.core",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        steps = [
            [*run, *tests, str(module)],
            [*python, "coverage", "combine", "-q"],
            [*python, "coverage", "report", f"--include={module}", "--fail-under=100"],
        ]
        for step in steps:
            done = subprocess.run(step, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
            if done.returncode:
                return name, False, done.stdout[-3000:] + done.stderr[-1000:]
    return name, True, ""


def main(names: list[str]) -> int:
    """Cover the named modules, or all; return the exit status."""
    modules = [ROOT / name for name in names] or [m for m in sorted(CORE.rglob("*.py")) if not is_empty(m)]
    bad = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for name, good, why in pool.map(cover, modules):
            print(f"{name}: {'100 %' if good else 'NOT COVERED by its own tests'}", flush=True)
            if not good:
                bad += 1
                print("    " + why.replace("\n", "\n    "))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
