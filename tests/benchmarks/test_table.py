from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from benchmarks import chart, measure, parsers, servers, table
from benchmarks import results as results_module
from benchmarks.results import Cell, Results, Run


@pytest.mark.parametrize("module", [chart, measure, parsers, results_module, servers, table])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def results(**cells: dict[str, Cell]) -> Results:
    return Results({"now": Run("command", "now", ["machine"])}, cells)


def cell(**values: float) -> Cell:
    return Cell("now", 1, values)


def test_pivot_rows_in_order_of_servers_and_gaps_as_dashes() -> None:
    found = results(
        e1={"b": cell(cpu_us=1.5), "d": Cell("now", 0, errors={"closed": 1})},
        p16={"a": cell(cpu_us=52037.0), "b": Cell("now", 0, errors={"closed": 1})},
    )
    titles = {"a": "A", "b": "B", "c": "never run", "d": "failed"}
    assert table.pivot(found, titles, ["e1", "p16"], "cpu_us") == (
        "| server | `e1` | `p16` |\n| --- | ---: | ---: |\n| A | – | 52,037 |\n| B | 1.50 | – |\n"
    )


def test_pivot_cells_are_written_as_asked() -> None:
    found = results(e1={"b": cell(ratio=1.0)})
    written = table.pivot(found, {"b": "B"}, ["e1"], lambda scenario, server: f"{server} at {scenario}")
    assert written.endswith("| B | b at e1 |\n")


def test_columns_values_of_one_scenario_and_gaps_as_dashes() -> None:
    found = results(rooms={"b": cell(cpu_us=2.0, ratio=1.25), "c": cell()}, e1={"a": cell(cpu_us=9.0)})
    shown = {"cpu_us": "CPU", "ratio": "× the limit"}
    assert table.columns(found, "rooms", {"a": "A", "b": "B", "c": "C"}, shown) == (
        "| server | CPU | × the limit |\n| --- | ---: | ---: |\n| B | 2 | 1.25× |\n| C | – | – |\n"
    )


def test_errors_same_error_of_a_server_is_one_line() -> None:
    failed = Cell("now", 1, {"cpu_us": 1.0}, {"closed": 2})
    absent = Cell("now", 0, errors={"not installed: b": 1})
    found = results(e1={"a": failed, "b": absent, "c": cell()}, p16={"b": absent})
    assert table.errors(found, ["e1", "p16"]) == (
        "Failed:\n\n* a, `e1` (2 of 3 times): closed\n* b, `e1`, `p16`: not installed: b\n"
    )
    assert table.errors(found, ["other"]) == ""


def test_replace_section_others_stay() -> None:
    document = table.replace_section("# T\n", "echo", "one")
    document = table.replace_section(document, "idle", "two")
    changed = table.replace_section(document, "echo", "three\n\n")
    assert changed == document.replace("one", "three")
    assert table.replace_section(changed, "echo", "three") == changed


def test_replace_section_new_one_comes_before_those_that_are_later() -> None:
    document = table.replace_section("# T\n", "idle", "two")
    document = table.replace_section(document, "echo", "one", ["broadcast", "idle"])
    assert document == table.replace_section(table.replace_section("# T\n", "echo", "one"), "idle", "two")


@pytest.mark.parametrize("name", [name for name in parsers.PARSERS if parsers.available(name)])
@pytest.mark.parametrize("case", parsers.CASES)
def test_parsers_find_every_message(name: str, case: str) -> None:
    assert parsers.measure_parser(name, case, seconds=0.0).values["us"] > 0
