"""Markdown: medians as tables, and their place in the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.results import Results

__all__ = ["columns", "errors", "format_number", "format_ratio", "pivot", "replace_section", "table"]

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


def format_ratio(value: float | None) -> str:
    """
    Write a multiple.

    >>> [format_ratio(v) for v in (1.0, 1.234, 16.04, 1234.5, None)]
    ['1.00×', '1.23×', '16.0×', '1,234×', '–']
    """
    if value is None:
        return NOTHING
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}×"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, numbers to the right."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def pivot(
    results: Results,
    servers: Mapping[str, str],
    scenarios: Sequence[str],
    value: str | Callable[[str, str], str],
    head: str = "server",
) -> str:
    """
    Return a row for each server (name -> title) that was measured, a column for each scenario.

    Args:
        value: The name of a median, or what writes the cell of a scenario and a server.
    """

    def number(scenario: str, server: str) -> str:
        return format_number(results.value(scenario, server, str(value)))

    write = number if isinstance(value, str) else value
    rows = [
        [title, *(write(scenario, name) for scenario in scenarios)]
        for name, title in servers.items()
        if any(_has_values(results, scenario, name) for scenario in scenarios)
    ]
    return table([head, *(f"`{scenario}`" for scenario in scenarios)], rows)


def columns(results: Results, scenario: str, servers: Mapping[str, str], shown: Mapping[str, str]) -> str:
    """Return a row for each server, and a column for each median (name -> title), of one scenario."""
    rows = []
    for name, title in servers.items():
        if name in results.cells.get(scenario, {}):
            medians = (results.value(scenario, name, value) for value in shown)
            ratios = [value == "ratio" for value in shown]
            written = zip(medians, ratios, strict=True)
            rows.append([title, *((format_ratio if ratio else format_number)(v) for v, ratio in written)])
    return table(["server", *shown.values()], rows)


def _has_values(results: Results, scenario: str, server: str) -> bool:
    cell = results.cells.get(scenario, {}).get(server)
    return cell is not None and bool(cell.values)


def errors(results: Results, scenarios: Iterable[str]) -> str:
    """Return a list of what failed in these scenarios, by server and reason; empty when nothing did."""
    seen: dict[tuple[str, str], list[str]] = {}
    for scenario in scenarios:
        for server, cell in results.cells.get(scenario, {}).items():
            for error, count in cell.errors.items():
                times = f" ({count} of {count + cell.rounds} times)" if count > 1 or cell.rounds else ""
                seen.setdefault((server, error), []).append(f"`{scenario}`{times}")
    lines = [f"* {server}, {', '.join(where)}: {error}" for (server, error), where in seen.items()]
    return "Failed:\n\n" + "\n".join(lines) + "\n" if lines else ""


def replace_section(document: str, name: str, body: str, later: Iterable[str] = ()) -> str:
    r"""
    Put `body` into the section `name` of `document`; the rest stays.

    Where there is none yet, it comes before the first of the `later` ones that are there, or at the end.

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
    for other in later:
        before, found, rest = document.partition(f"<!-- begin {other} -->\n")
        if found:
            return before + section + "\n" + found + rest
    return document.rstrip("\n") + "\n\n" + section
