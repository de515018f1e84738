"""Where an optional package is missing, the error says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tomli

from tests.servers import ROOT
from ws4py_middleware.extras import needs

#: Package → its extra, and the modules that are nothing without it.
NEEDED = {
    "cherrypy": ("cherrypy", ["server.cherrypyserver"]),
    "django": ("django", ["config.django"]),
    "flask": ("flask", ["config.flask"]),
    "gevent": ("gevent", ["client.geventclient", "greenlets", "server.geventserver"]),
    "opentelemetry": ("opentelemetry", ["tracing"]),
    "prometheus_client": ("prometheus", ["prometheus"]),
}

IMPORT_WITHOUT = """
import importlib, sys
package, *names = sys.argv[1:]
sys.modules[package] = None
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(error)
"""


@pytest.mark.parametrize("package", NEEDED)
def test_module_says_which_extra_it_needs(package: str) -> None:
    extra, modules = NEEDED[package]
    names = [f"ws4py_middleware.{module}" for module in modules]
    command = [sys.executable, "-W", "error", "-c", IMPORT_WITHOUT, package, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines() == [
        f'{name} needs {package}: pip install "ws4py_middleware[{extra}]"' for name in names
    ]
    project = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]


def test_package_that_lacks_something_itself_tells_so() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^its own$"), needs("flask", "flask", "a page"):
        raise ModuleNotFoundError("its own", name="markupsafe")
