"""One short run of every scenario on this library: the load generator compares what comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import plan
from benchmarks.__main__ import main, parse_arguments
from benchmarks.machine import Cores, allow_open_files
from benchmarks.plan import SECTIONS, carry_out, make_tasks
from benchmarks.results import Record, Run, Sample
from benchmarks.scenarios import Window

RUN = Run("a test", "2026-01-01T00:00:00+00:00", [])
WINDOW = Window(0.02, 0.05)
DRIVEN = [section for section in SECTIONS if section.name not in ("idle", "parser", "blocking", "rooms")]


def measure(path: Path, names: set[str], scenarios: set[str], rounds: int = 1) -> list[Sample]:
    allow_open_files()
    tasks = make_tasks(
        SECTIONS,
        lambda scenario, server: server in names and scenario in scenarios,
        rounds,
        WINDOW,
        Cores(None, None),
        connections=50,
    )
    return [sample for sample, _ in carry_out(tasks, Record(path, RUN), Cores(None, None))]


def test_every_scenario_is_measured_under_gunicorn(tmp_path: Path) -> None:
    scenarios = {scenario for section in DRIVEN for scenario in section.scenarios}
    samples = measure(tmp_path / "run.jsonl", {"c", "ours-gthread"}, scenarios)
    assert [sample.error for sample in samples if sample.error is not None] == []
    assert {sample.scenario for sample in samples if sample.server == "ours-gthread"} == scenarios
    assert {sample.scenario for sample in samples if sample.server == "c"} == scenarios - {"deflate"}
    for sample in samples:
        assert sample.values["cpu_us"] > 0
        assert sample.values["p50_us"] <= sample.values["p99_us"] <= sample.values["p999_us"]


@pytest.mark.parametrize(
    "name", ["ours-sync", "ours-gthread-pure", "ours-gevent", "ours-cherrypy", "ours-asgi"]
)
def test_every_entrance_is_measured(tmp_path: Path, name: str) -> None:
    samples = measure(tmp_path / "run.jsonl", {name}, {"e100", "json", "bcast"})
    assert [(sample.scenario, sample.error) for sample in samples] == [
        ("e100", None),
        ("json", None),
        ("bcast", None),
    ]


def test_idle_connections_are_weighed(tmp_path: Path) -> None:
    (sample,) = measure(tmp_path / "run.jsonl", {"ours-gthread"}, {"idle"})
    assert sample.error is None
    assert sample.values["opened"] == 50
    assert sample.values["unanswered"] == 0
    assert sample.values["rss_kib"] * 50 == pytest.approx(sample.values["all_mib"] * 1024)


def test_tasks_servers_take_turns_in_every_round() -> None:
    tasks = make_tasks(
        SECTIONS,
        lambda scenario, server: server in {"c", "websockets"} and scenario in {"e1", "p16", "idle"},
        2,
        WINDOW,
        Cores(None, None),
    )
    order = [(task.round, task.scenario, task.server) for task in tasks if task.section == "echo"]
    one = [("e1", "c"), ("e1", "websockets"), ("p16", "c"), ("p16", "websockets")]
    assert order == [(number, *each) for number in (0, 1) for each in one]
    assert {task.round for task in tasks if task.section == "idle"} == {0}


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    samples = measure(tmp_path / "run.jsonl", {"c"}, {"e1", "e100"}, rounds=2)
    order = [(0, "e1"), (0, "e100"), (1, "e1"), (1, "e100")]
    assert [(sample.round, sample.scenario) for sample in samples] == order
    tasks = make_tasks(
        SECTIONS,
        lambda scenario, server: server == "c" and scenario in {"e1", "p16"},
        1,
        WINDOW,
        Cores(None, None),
    )
    ((sample, left),) = carry_out(tasks, Record.resume(tmp_path / "run.jsonl", RUN), Cores(None, None))
    assert (sample.scenario, list(left)) == ("p16", [])
    assert plan.seconds_left(left) < plan.seconds_left(tasks)


def test_server_that_is_not_installed_is_a_sample_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "missing", lambda server: ["something"])
    (sample,) = measure(tmp_path / "run.jsonl", {"aiohttp"}, {"e100"})
    assert sample.error == "not installed: something"


def test_main_partial_run_prints_tables_and_keeps_the_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    options = ["--rounds", "1", "--seconds", "0.05", "--warm", "0", "--record", str(path)]
    assert main(["echo", "--servers", "ours-sync", "--scenarios", "e1", *options]) == 0
    shown = capsys.readouterr().out
    assert "| C epoll echo (the limit) | 1.00× |" in shown
    assert "| **ours**, gunicorn sync |" in shown
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["command"].startswith("python -m benchmarks echo --servers ours-sync")
    assert [line["server"] for line in lines[1:]] == ["c", "ours-sync"]


@pytest.mark.parametrize(
    "arguments", [["echo", "--servers", "nobody"], ["all", "--rounds", "0"], ["nothing"]]
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert "error" in capsys.readouterr().err
