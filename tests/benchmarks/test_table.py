from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from benchmarks import measure, parsers, servers, table
from benchmarks.scenarios import Sample, rounds
from benchmarks.servers import SERVERS, Server


@pytest.mark.parametrize("module", [measure, parsers, servers, table])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_medians_failed_runs_do_not_count() -> None:
    samples = [
        Sample("e1", "a", {"cpu_us": 9.0}),
        Sample("e1", "a", {"cpu_us": 1.0}),
        Sample("e1", "a", {"cpu_us": 2.0}),
        Sample("e1", "b", error="closed"),
    ]
    assert table.medians(samples, "cpu_us") == {("a", "e1"): 2.0, ("b", "e1"): None}


def test_pivot_rows_in_order_of_servers_and_gaps_as_dashes() -> None:
    samples = [
        Sample("e1", "b", {"cpu_us": 1.5}),
        Sample("p16", "a", {"cpu_us": 52037.0}),
        Sample("p16", "b", error="closed"),
    ]
    titles = {"a": "A", "b": "B", "c": "never run"}
    assert table.pivot(samples, "cpu_us", titles, ["e1", "p16"]) == (
        "| server | e1 | p16 |\n| --- | ---: | ---: |\n| A | – | 52,037 |\n| B | 1.50 | – |\n"
    )


def test_columns_values_of_one_scenario_and_gaps_as_dashes() -> None:
    samples = [
        Sample("rooms", "b", {"cpu_us": 1.5, "lost": 0.0}),
        Sample("rooms", "b", {"cpu_us": 2.5}),
        Sample("e1", "b", {"cpu_us": 9.0}),
    ]
    shown = {"cpu_us": "CPU", "lost": "lost"}
    assert table.columns(samples, "rooms", {"a": "A", "b": "B"}, shown) == (
        "| server | CPU | lost |\n| --- | ---: | ---: |\n| A | – | – |\n| B | 2 | 0 |\n"
    )


def test_errors_same_error_is_counted() -> None:
    samples = [Sample("e1", "a", error="closed"), Sample("e1", "a", error="closed"), Sample("e1", "b", {})]
    assert table.errors(samples) == "Failed:\n\n* a, e1: closed (2 times)\n"
    assert table.errors(samples[2:]) == ""


def test_replace_section_others_stay() -> None:
    document = table.replace_section("# T\n", "echo", "one")
    document = table.replace_section(document, "idle", "two")
    changed = table.replace_section(document, "echo", "three\n\n")
    assert changed == document.replace("one", "three")
    assert table.replace_section(changed, "echo", "three") == changed


def test_rounds_servers_take_turns() -> None:
    a, b = SERVERS[:2]

    def once(server: Server, name: str) -> Sample:
        return Sample(name, server.name)

    order = [(sample.scenario, sample.server) for sample in rounds([a, b], ["e1", "p16"], 2, once)]
    one = [("e1", a.name), ("e1", b.name), ("p16", a.name), ("p16", b.name)]
    assert order == one * 2


@pytest.mark.parametrize("name", [name for name in parsers.PARSERS if parsers.available(name)])
def test_parsers_find_every_message(name: str) -> None:
    samples = list(parsers.measure_parsers([name], count=1, seconds=0.0))
    assert [sample.scenario for sample in samples] == list(parsers.CASES)
    assert all(sample.values["us"] > 0 for sample in samples)
