"""The house: its floors and rooms, as the contract of import-linter in pyproject.toml has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from scripts.lib.drawings.canvas import Canvas

__all__ = ["FLOORS", "build_tables", "draw", "read_floors"]

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "ws4py_middleware"

WIDTH, EDGE, LABEL = 880, 24.0, 206.0
CHIP = 24.0  # the height of a room
GAP = 6.0


class Floor(NamedTuple):
    """What is said of one floor in the picture."""

    name: str
    knows: str


FLOORS = {
    5: Floor("front desk", "all of it, for people"),
    4: Floor("entrances", "its own framework only"),
    3: Floor("drivers", "sockets, threads, loops, time"),
    2: Floor("faces", "the core"),
    1: Floor("machines", "state between calls; no I/O"),
    0: Floor("ground", "the standard library; no state"),
}

_CAPTION = (
    "Imports go down, and on one floor from left to right, or among equals of one layer.",
    "Blue rooms are packages. Floors 1 and 0 are the package core/, and exc, extras, _build, _version.",
)


def read_floors() -> dict[int, list[str]]:
    """
    Return the modules of each floor, from the upper layers to the lower ones.

    The contract's comments say where a floor begins. A package has a slash behind it; what is in ``core`` has
    ``core/`` before it. What the contract allows to be missing, and is missing, is left out.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    floors: dict[int, list[str]] = {floor: [] for floor in FLOORS}
    for _, floor, name in _read_layers(text, "floors"):
        if name == "core":
            for _, below, inner in _read_layers(text, "core"):
                floors[below] += _find(f"core/{inner}")
        else:
            floors[0 if floor == 1 else floor] += _find(name)
    return floors


def _read_layers(text: str, contract: str) -> Iterator[tuple[int, int, str]]:
    """Give each module of a contract: its layer, its floor, its name."""
    layers = text.split(f'id = "{contract}"', 1)[1].split("layers = [", 1)[1].split("\n]", 1)[0]
    floor = 5
    for layer, line in enumerate(layers.splitlines()):
        if comment := re.match(r"\s*# (\d) ", line):
            floor = int(comment[1])
        elif names := re.match(r'\s*"(.*)"', line):
            for name in re.findall(r"\w+", names[1]):
                yield layer, floor, name


def _find(name: str) -> list[str]:
    if (PACKAGE / name / "__init__.py").exists():
        return [f"{name}/"]
    return [name] if (PACKAGE / f"{name}.py").exists() else []


def draw() -> Mapping[str, str]:
    """Return the picture by the name of its file."""
    floors = read_floors()
    placed = {floor: _place(modules) for floor, modules in floors.items()}
    roof = 92.0
    heights = {floor: rows * (CHIP + GAP) - GAP + 28 for floor, (_, rows) in placed.items()}
    height = roof + sum(heights.values()) + 8 * (len(heights) - 1) + 58
    desc = " ".join(
        f"{number} {FLOORS[number].name}: {', '.join(names) or 'nothing'}."
        for number, names in floors.items()
    )
    canvas = Canvas(WIDTH, int(height), "The house, floor by floor", desc)
    canvas.polygon("area", [(EDGE, roof - 8), (WIDTH / 2, 14), (WIDTH - EDGE, roof - 8)])
    canvas.text((WIDTH / 2, 52), "your application", "head", anchor="middle")
    canvas.text((WIDTH / 2, 70), "its handlers, its routes", "small quiet", anchor="middle")
    top = roof
    for number, (chips, _) in placed.items():
        canvas.box("area", (EDGE, top), (WIDTH - 2 * EDGE, heights[number]))
        canvas.text((EDGE + 14, top + 24), f"{number}  {FLOORS[number].name}", "head")
        for line, words in enumerate(FLOORS[number].knows.split("; ")):
            canvas.text((EDGE + 14, top + 42 + 16 * line), words, "small quiet")
        for name, x, row, width in chips:
            y = top + 14 + row * (CHIP + GAP)
            canvas.box("ours" if name.endswith("/") else "box", (x, y), (width, CHIP))
            canvas.text((x + width / 2, y + 16.5), name.removeprefix("core/"), "code", anchor="middle")
        top += heights[number] + 8
    for line, words in enumerate(_CAPTION):
        canvas.text((EDGE + 14, top + 18 + 18 * line), words, "small quiet")
    return {"house.svg": str(canvas)}


def _place(modules: list[str]) -> tuple[list[tuple[str, float, int, float]], int]:
    """Place rooms side by side in rows: name, x, row, width of each, and the number of rows."""
    chips = []
    x, row = EDGE + LABEL, 0
    for name in modules:
        width = 7.3 * len(name.removeprefix("core/")) + 16
        if x + width > WIDTH - EDGE - 14:
            x, row = EDGE + LABEL, row + 1
        chips.append((name, x, row, width))
        x += width + GAP
    return chips, row + 1


def build_tables() -> dict[int, str]:
    """Return for each floor the table of its modules, and what their docstrings say that they are."""
    tables = {}
    for floor, modules in read_floors().items():
        rows = [f"| `{name}` | {_describe(name)} |" for name in modules]
        tables[floor] = "\n".join(["| module | |", "|---|---|", *rows, ""])
    return tables


def _describe(name: str) -> str:
    path = PACKAGE / name / "__init__.py" if name.endswith("/") else PACKAGE / f"{name}.py"
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(doc.split("\n\n", 1)[0].split())
    # What Sphinx makes a link of is a name here.
    first = re.sub(r":rfc:`(\d+)(?:#section-([\d.]+))?`", _name_rfc, first)
    first = re.sub(r":\w+:`[~.]*([^`]+)`", r"`\1`", first).replace("``", "`")
    return (first if first.startswith("ws4py") else first[:1].upper() + first[1:]).rstrip(".")


def _name_rfc(found: re.Match[str]) -> str:
    return f"RFC {found[1]}" + (f" §{found[2]}" if found[2] else "")
