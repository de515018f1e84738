from __future__ import annotations

from pathlib import Path

from benchmarks.results import Cell, Record, Results, Run, Sample, summarize

RUN = Run("python -m benchmarks echo", "2026-01-01T00:00:00+00:00", ["a machine"])
LATER = Run("python -m benchmarks idle", "2026-01-02T00:00:00+00:00", ["a machine"])


def test_summarize_medians_failed_runs_do_not_count() -> None:
    samples = [
        Sample("e1", "a", {"cpu_us": 9.0}),
        Sample("e1", "a", {"cpu_us": 1.0}, round=1),
        Sample("e1", "a", {"cpu_us": 2.0}, round=2),
        Sample("e1", "a", error="closed", round=3),
        Sample("e1", "b", error="closed"),
    ]
    assert summarize(RUN, samples)["e1"] == {
        "a": Cell(RUN.began, 3, {"cpu_us": 2.0}, {"closed": 1}),
        "b": Cell(RUN.began, 0, {}, {"closed": 1}),
    }


def test_summarize_ratio_is_to_the_limit_in_the_same_scenario() -> None:
    samples = [
        Sample("e1", "c", {"cpu_us": 2.0}),
        Sample("e1", "a", {"cpu_us": 3.0}),
        Sample("p16", "a", {"cpu_us": 3.0}),
    ]
    summary = summarize(RUN, samples)
    assert summary["e1"]["a"].values["ratio"] == 1.5
    assert summary["e1"]["c"].values["ratio"] == 1.0
    assert "ratio" not in summary["p16"]["a"].values


def test_merge_newer_cells_replace_older_ones_and_the_rest_stays() -> None:
    results = Results()
    results.merge(
        RUN, summarize(RUN, [Sample("e1", "a", {"cpu_us": 1.0}), Sample("e1", "b", {"cpu_us": 2.0})])
    )
    results.merge(LATER, summarize(LATER, [Sample("e1", "b", {"cpu_us": 3.0})]))
    assert results.value("e1", "a", "cpu_us") == 1.0
    assert results.value("e1", "b", "cpu_us") == 3.0
    assert set(results.runs) == {RUN.began, LATER.began}
    results.merge(LATER, summarize(LATER, [Sample("e1", "a", {"cpu_us": 4.0})]))
    assert set(results.runs) == {LATER.began}


def test_results_written_and_read_are_the_same(tmp_path: Path) -> None:
    results = Results()
    results.merge(RUN, summarize(RUN, [Sample("e1", "a", {"cpu_us": 1.25}), Sample("e1", "b", error="é")]))
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results
    assert Results.read(tmp_path / "none.json") == Results()


def test_record_resumed_keeps_what_was_measured_and_not_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "run.jsonl"
    record = Record(path, RUN)
    record.add(Sample("e1", "a", {"cpu_us": 1.0}))
    record.add(Sample("e1", "b", error="closed"))
    with path.open("a") as file:
        file.write('{"scenario": "e1", "server"')  # it was interrupted
    again = Run(RUN.command, LATER.began, RUN.lines)
    resumed = Record.resume(path, again)
    assert resumed.run == RUN
    assert resumed.has("e1", "a", 0)
    assert not resumed.has("e1", "a", 1)
    assert not resumed.has("e1", "b", 0)
    resumed.add(Sample("e1", "b", {"cpu_us": 2.0}))
    assert Record.resume(path, again).samples == resumed.samples


def test_record_of_another_command_is_not_resumed(tmp_path: Path) -> None:
    Record(tmp_path / "run.jsonl", RUN).add(Sample("e1", "a", {"cpu_us": 1.0}))
    assert Record.resume(tmp_path / "run.jsonl", LATER).samples == []
    assert Record.resume(tmp_path / "other.jsonl", RUN).samples == []
