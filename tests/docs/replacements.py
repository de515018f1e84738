"""Tables on migrating pages: what stands for each name of another library is there."""

from __future__ import annotations

import re
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from tests.servers import ROOT

__all__ = ["Row", "check_import", "locate", "read_rows"]


class Row(NamedTuple):
    """What a page says of one name of another library."""

    here: str
    why: str


def read_rows(table: str) -> dict[str, Row]:
    """Read a table: name → what is said of it; each name once."""
    found: dict[str, Row] = {}
    for line in table.splitlines()[2:]:
        names, here, why = (cell.strip() for cell in line.removesuffix("|").strip("|").split(" |", 2))
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in found, f"{name} twice"
            found[name] = Row(here, why.strip())
    return found


def locate(path: str) -> tuple[ModuleType, list[str]]:
    """Import the module of a dotted path; return it, and the names that lead on in it."""
    parts = path.split(".")
    count = next(
        count
        for count in range(len(parts), 0, -1)
        if (place := ROOT.joinpath(*parts[:count])).with_suffix(".py").exists() or place.is_dir()
    )
    return import_module(".".join(parts[:count])), parts[count:]


def check_import(path: str) -> None:
    """Check that a module, a class of it, or what a class has, is there."""
    found: object
    found, parts = locate(path)
    for part in parts:
        found = getattr(found, part)
