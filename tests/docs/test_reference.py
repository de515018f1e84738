"""Every public module is in the reference, and every name in it has a docstring."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys

import pytest

import ws4py_middleware
from scripts.lib.docs.names import find_modules
from tests.servers import ROOT

#: How the package is made; nobody imports it who uses the package. A new module is here or in the reference;
#: below a package it need not be either, as the package itself offers what others may use.
# fmt: off
INTERNAL = {
    "__main__", "_build", "_version", "admission", "asynctransport", "contexts", "corks",
    "crews", "denials", "direct", "dispatching", "drain", "epolls", "exchanges", "extras",
    "functions", "handon", "inbox", "incoming", "leading", "lifetimes", "link", "loops", "native",
    "opening", "outgoing", "payloads", "pools", "replies", "scopes", "seats", "sending",
    "shutdowns", "steps", "tasklink", "timers", "tracedlink", "traces", "turns", "unpatched",
    "watched", "core.assembly", "core.extensions.zlibs", "core.packing",
}
# fmt: on
#: Whose own page is not made from docstrings, and what has nothing in it.
TOLD_ELSEWHERE = {"cli", "server"}


@pytest.fixture(scope="module")
def names() -> dict[str, bool]:
    """Return every public name, and whether it has a docstring."""
    command = [sys.executable, "-m", "scripts.lib.docs.names"]
    environ = {**os.environ, "WS4PY_MIDDLEWARE_PURE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, check=True, timeout=60)
    found: dict[str, bool] = json.loads(done.stdout)
    return found


def test_a_module_is_in_the_reference_or_internal() -> None:
    rooms = [f"{ws4py_middleware.__name__}.core.", f"{ws4py_middleware.__name__}."]
    found = {
        f"{room.removeprefix(rooms[1])}{module.name}"
        for room, folder in zip(rooms, ("core", ""), strict=True)
        for module in pkgutil.iter_modules([os.path.join(path, folder) for path in ws4py_middleware.__path__])
    }
    shown = {name.removeprefix(rooms[1]) for name in find_modules()}
    assert found - shown - INTERNAL - TOLD_ELSEWHERE == set(), (
        "show it in docs/reference, or say that it is internal"
    )
    assert shown & INTERNAL == set()


def test_every_public_name_has_a_docstring(names: dict[str, bool]) -> None:
    assert len(names) > 600
    assert [name for name, told in names.items() if not told] == []
