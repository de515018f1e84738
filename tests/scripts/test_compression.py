"""docs/topics/compression.md has what is measured, give or take what other versions may do."""

from __future__ import annotations

import pytest

from scripts.lib.compression import (
    BITS,
    COUNTS,
    LEVELS,
    LIBRARIES,
    MEM_LEVELS,
    PAGE,
    TURNS,
    Setting,
    get_size,
    measure,
    replace_table,
)
from ws4py_middleware.core.policy import DeflateOptions

TEXT = PAGE.read_text(encoding="utf-8")
DEFAULTS = DeflateOptions()


def read_table(name: str) -> dict[str, list[str]]:
    """Return the rows of a table by what they are called in their first cells."""
    rows = TEXT.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    count = {"memory": 1, "speed": 2, "turns": 1}[name]
    return {" ".join(row[:count]): row[count:] for row in cells}


MEMORY, SPEED = read_table("memory"), read_table("speed")

COLUMNS = [("zlib", "send", level) for level in MEM_LEVELS] + [
    ("zlib-ng", "send", 5),
    ("zlib", "receive", 5),
    ("zlib-ng", "receive", 5),
]


def test_tables_are_whole() -> None:
    assert [*MEMORY] == [*(f"{bits} bits" for bits in BITS), "none is kept"]
    assert {len(row) for row in MEMORY.values()} == {len(COLUMNS)}
    assert [*SPEED] == [f"{library} {level}" for library in LIBRARIES for level in LEVELS]
    assert {len(row) for row in SPEED.values()} == {4}
    turns = read_table("turns")
    assert [*turns] == [name + ", `shared=True`" * shared for name, shared in TURNS]
    assert {len(row) for row in turns.values()} == {len(COUNTS)}


@pytest.mark.parametrize(
    ("row", "column"),
    [("12 bits", 2), ("12 bits", 5), ("12 bits", 6), ("12 bits", 7), ("9 bits", 0), ("none is kept", 5)],
)
def test_memory_is_as_documented(row: str, column: int) -> None:
    library, direction, mem_level = COLUMNS[column]
    keep = row != "none is kept"
    bits = int(row.partition(" ")[0]) if keep else 12
    measured = measure(Setting(library, direction, bits, mem_level, keep))
    assert measured == pytest.approx(float(MEMORY[row][column]), rel=0.2, abs=4)


def test_memory_with_the_defaults_is_what_the_text_says() -> None:
    row = MEMORY[f"{DEFAULTS.server_max_window_bits} bits"]
    sends = int(row[MEM_LEVELS.index(DEFAULTS.mem_level)])
    zlib, both, fast = sends + int(row[6]), sends + int(row[7]), int(row[5]) + int(row[7])
    assert DEFAULTS.client_max_window_bits == DEFAULTS.server_max_window_bits
    assert f"that is {zlib} KiB, {both} KiB where zlib-ng is installed, which inflates then" in TEXT
    assert f"{fast} KiB where it is told to do everything" in TEXT
    assert zlib < both <= 64 - 12, "P21: 12 KiB are for the connection itself"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("level", LEVELS)
def test_sizes_are_as_documented(library: str, level: int) -> None:
    row = SPEED[f"{library} {level}"]
    for keep, cell in ((True, row[0]), (False, row[2])):
        assert get_size(library, level, keep) == pytest.approx(float(cell), rel=0.05)


def test_table_is_replaced_and_nothing_else() -> None:
    page = replace_table(TEXT, "memory", ["| a |", "|---|"])
    assert "<!-- memory -->\n| a |\n|---|\n<!-- /memory -->\n" in page
    assert page.split("<!-- memory -->")[0] == TEXT.split("<!-- memory -->")[0]
    assert page.split("<!-- /memory -->")[1] == TEXT.split("<!-- /memory -->")[1]
