"""A module's pure Python source beside what is imported of it, which may be compiled: both do the same."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load_pure(module: ModuleType) -> Any:
    """Import the ``.py`` of a module under a name of its own."""
    assert module.__file__ is not None
    path = Path(module.__file__)
    name = f"{module.__name__}_in_python"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path.parent / f"{path.name.partition('.')[0]}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def outcome(call: Any, *args: Any) -> object:
    """Return what a call returns, or the kind of what it raises and what that says."""
    try:
        return call(*args)
    except Exception as error:
        return type(error), str(error)
