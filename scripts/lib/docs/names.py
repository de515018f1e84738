"""
Every public name of the modules in the reference, and whether it has a docstring.

    WS4PY_MIDDLEWARE_PURE=1 python -m scripts.lib.docs.names

prints JSON: ``"ws4py_middleware.wsgi.upgrade": true``. In the pure build, as what is compiled does not tell
methods from other things.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "ws4py_middleware"
#: Whose methods are for the drivers: what inherits from them shows its own.
INSIDE = {"Leading", "Turns", "StreamProtocol"}


@cache
def find_modules() -> dict[str, set[str]]:
    """Return the modules that the reference shows, and which names of each it leaves to another."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = re.findall(r"^\.\. automodule:: (\S+)\n((?: +:.*\n)*)", text, re.MULTILINE)
    return {name: find_left_out(name, options) for name, options in shown}


def find_left_out(module_name: str, options: str) -> set[str]:
    """Return what a directive does not show, of a module and of its classes."""
    given = {name: set(re.split(", *", words)) for name, words in re.findall(r":(\S+):(?: (.*))?", options)}
    left_out = given.get("exclude-members", set())
    if given.get("members") != {""}:
        left_out |= {*import_module(module_name).__all__} - given.get("members", set())
    return left_out


def walk_module(module: ModuleType) -> Iterator[tuple[str, bool]]:
    """Go through what a module offers that is defined in it, and through the methods of its classes."""
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        home = getattr(thing, "__module__", module.__name__)
        if name in find_modules()[module.__name__] or home.partition(".")[0] != PACKAGE:
            continue
        if home != module.__name__ and name not in find_modules().get(home, {name}):
            continue  # it is shown where it is defined
        if inspect.isclass(thing):
            yield f"{module.__name__}.{name}", bool(thing.__dict__.get("__doc__"))
            if thing.__name__ == name:  # and no other name for a class that stands beside it
                yield from (
                    (f"{module.__name__}.{name}.{each}", told)
                    for each, told in walk_class(thing, module.__name__)
                )
        elif inspect.isfunction(thing):
            yield f"{module.__name__}.{name}", bool(thing.__doc__)


def is_shown(cls: type) -> bool:
    """Tell whether a class has a place of its own in the reference."""
    left_out = find_modules().get(cls.__module__)
    return left_out is not None and cls.__name__ in {*sys.modules[cls.__module__].__all__} - left_out


def is_told_elsewhere(cls: type, name: str) -> bool:
    """Tell whether a class inherits this from another library, or from a class that is shown with it."""
    for place, base in enumerate(cls.__mro__):
        if name in base.__dict__:
            foreign = base.__module__.partition(".")[0] != PACKAGE
            between = cls.__mro__[1 : place + 1]
            shown = any(is_shown(each) and base in each.__mro__ for each in between)
            return foreign or shown or base.__name__ in INSIDE
    return False  # what only instances have


def walk_class(cls: type, module: str) -> Iterator[tuple[str, bool]]:
    """Go through the methods and properties that are shown with a class."""
    for name in () if Protocol in cls.__bases__ else dir(cls):
        if name.startswith("_") or name in find_modules()[module] or is_told_elsewhere(cls, name):
            continue
        thing: Any = inspect.getattr_static(cls, name)
        function = getattr(thing, "__func__", thing)
        if inspect.isfunction(function) or isinstance(function, property):
            yield name, bool(inspect.getdoc(getattr(cls, name)))


def main() -> None:
    found: dict[str, bool] = {}
    for name in find_modules():
        found.update(walk_module(import_module(name)))
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
