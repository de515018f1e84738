"""Names of things in modules: ``"chat.handlers:Chat"``."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from typing import Any

from .values import hint

__all__ = ["import_object"]


def import_object(name: str) -> Any:
    """
    Import what a name such as ``"chat.handlers:Chat"`` stands for.

    Args:
        name: The module, a colon, and the attribute; dots lead on from there.

    Raises:
        ValueError: It is no such name; or there is no such module or attribute (the message names the
            nearest); or the module raised an exception, which is the cause.

    >>> import_object("ws4py_middleware.websocket:EchoWebSocket").__name__
    'EchoWebSocket'
    """
    module_name, colon, attributes = name.partition(":")
    if not colon or not all(
        part.isidentifier() for part in [*module_name.split("."), *attributes.split(".")]
    ):
        before, _, last = name.rpartition(".")
        suggestion = f"{before}:{last}" if before and not colon else "chat.handlers:Chat"
        raise ValueError(f"{name!r} is no import path; it is a module, a colon and a name: {suggestion!r}")
    found: Any = _import_module(module_name)
    place = f"module {module_name!r}"
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ValueError(_missing(found, place, attribute)) from None
        place = repr(attribute)
    return found


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ValueError(f"module {name!r} cannot be imported: {error}") from error
        raise ValueError(_no_module(error.name)) from None
    except Exception as error:
        raise ValueError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from error


def _no_module(name: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent:
        path = getattr(sys.modules.get(parent), "__path__", None)
        if path is None:
            return f"there is no module {name!r}: {parent!r} is a module, and no package"
        names = [f"{parent}.{each.name}" for each in pkgutil.iter_modules(path)]
        where = f"package {parent!r}"
        return f"there is no module {name!r}; {hint(name, names) if names else f'{where} has none'}"
    names = [each.name for each in pkgutil.iter_modules()]
    suggestion = hint(last, names)
    if not suggestion.startswith("did"):
        suggestion = "is the folder that it is in on sys.path?"
    return f"there is no module {name!r}; {suggestion}"


def _missing(found: Any, place: str, attribute: str) -> str:
    spec = getattr(found, "__spec__", None)
    if getattr(spec, "_initializing", False):
        return (
            f"{place} has no {attribute!r} yet: it is just being imported, and this is above its definition"
        )
    public = [each for each in dir(found) if not each.startswith("_")]
    suggestion = hint(attribute, public)
    return f"{place} has no {attribute!r}" + (f"; {suggestion}" if suggestion.startswith("did") else "")
