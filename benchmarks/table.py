"""Markdown: medians of the samples as tables, and their place in the document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.measure import median
from benchmarks.scenarios import Sample

__all__ = ["columns", "errors", "format_number", "medians", "pivot", "replace_section", "table"]

NOTHING = "–"


def format_number(value: float | None) -> str:
    """
    Write three digits that count, whole numbers whole, thousands with a comma, and a dash for nothing.

    >>> [format_number(v) for v in (0.0, 3.0, 0.3456, 4.351, 52.04, 987.6, 52037.4, None)]
    ['0', '3', '0.35', '4.35', '52.0', '988', '52,037', '–']
    """
    if value is None:
        return NOTHING
    if value.is_integer():
        return f"{value:,.0f}"
    size = abs(value)
    digits = 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:,.{digits}f}"


def medians(samples: Iterable[Sample], value: str) -> dict[tuple[str, str], float | None]:
    """Return the median of `value` over the rounds, by (server, scenario)."""
    found: dict[tuple[str, str], list[float]] = {}
    for sample in samples:
        values = found.setdefault((sample.server, sample.scenario), [])
        if sample.error is None and value in sample.values:
            values.append(sample.values[value])
    return {key: median(values) for key, values in found.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, numbers to the right."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def pivot(samples: Sequence[Sample], value: str, servers: Mapping[str, str], scenarios: Sequence[str]) -> str:
    """Return the medians of `value`: a row for each server (name -> title), a column for each scenario."""
    found = medians(samples, value)
    rows = []
    for name, title in servers.items():
        if any(server == name for server, _ in found):
            rows.append([title, *(format_number(found.get((name, scenario))) for scenario in scenarios)])
    return table(["server", *scenarios], rows)


def columns(
    samples: Sequence[Sample], scenario: str, servers: Mapping[str, str], shown: Mapping[str, str]
) -> str:
    """Return the medians of one scenario: a row for each server, a column for each value (name -> title)."""
    found = {value: medians(samples, value) for value in shown}
    rows = []
    for name, title in servers.items():
        rows.append([title, *(format_number(found[value].get((name, scenario))) for value in shown)])
    return table(["server", *shown.values()], rows)


def errors(samples: Iterable[Sample]) -> str:
    """Return a list of the runs that failed, each once; empty when none did."""
    seen: dict[str, int] = {}
    for sample in samples:
        if sample.error is not None:
            line = f"* {sample.server}, {sample.scenario}: {sample.error}"
            seen[line] = seen.get(line, 0) + 1
    lines = [f"{line} ({count} times)" if count > 1 else line for line, count in seen.items()]
    return "Failed:\n\n" + "\n".join(lines) + "\n" if lines else ""


def replace_section(document: str, name: str, body: str) -> str:
    r"""
    Put `body` into the section `name` of `document`, at its end when there is none; the rest stays.

    >>> once = replace_section("# Title\n", "echo", "old")
    >>> print(replace_section(once, "echo", "new"), end="")
    # Title
    <BLANKLINE>
    <!-- begin echo -->
    new
    <!-- end echo -->
    """
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    section = begin + body.strip("\n") + "\n" + end
    if begin in document and end in document:
        before, _, rest = document.partition(begin)
        return before + section + rest.partition(end)[2]
    return document.rstrip("\n") + "\n\n" + section
