"""
What was measured: the samples of a run, line by line in a file, and their medians, which the documents show.

A run writes every sample as soon as it is there, so that one that was interrupted goes on where it was.
Medians of several runs are merged cell by cell: a scenario of a server has the numbers of the last run of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.measure import median

__all__ = ["LIMIT_NAME", "Cell", "Record", "Results", "Run", "Sample", "summarize"]

#: The server that all others are compared with.
LIMIT_NAME = "c"


@dataclass(frozen=True)
class Sample:
    """What one measurement gave: numbers by name, or why there are none."""

    scenario: str
    server: str
    values: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    round: int = 0
    took: float = 0.0  # seconds, with the start of the server where that was needed


@dataclass(frozen=True)
class Run:
    """One call of the command: what it was, when it began, and where."""

    command: str
    began: str
    lines: list[str]  # the machine, the interpreter, the versions


@dataclass(frozen=True)
class Cell:
    """The medians of one server in one scenario, and how many rounds are in them; or why there are none."""

    began: str  # of the run
    rounds: int
    values: dict[str, float] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)  # what went wrong, and how often


class Record:
    """The file of a run: a line for the run and one for each sample, in the order in which they came."""

    def __init__(self, path: Path, run: Run, samples: Iterable[Sample] = ()) -> None:
        self.path = path
        self.run = run
        self.samples = list(samples)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [asdict(run), *map(asdict, self.samples)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    @classmethod
    def resume(cls, path: Path, run: Run) -> Record:
        """
        Go on with the run in the file, if there is one of the same command on the same machine; else begin.

        What failed is measured again.
        """
        if not path.exists():
            return cls(path, run)
        lines = path.read_text().splitlines()
        found = Run(**json.loads(lines[0]))
        if (found.command, found.lines) != (run.command, run.lines):
            return cls(path, run)
        samples = [Sample(**json.loads(line)) for line in lines[1:] if line.endswith("}")]
        return cls(path, found, [sample for sample in samples if sample.error is None])

    def add(self, sample: Sample) -> None:
        """Keep a sample."""
        self.samples.append(sample)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(sample)) + "\n")

    def has(self, scenario: str, server: str, number: int) -> bool:
        """Say whether this was measured in that round."""
        return (scenario, server, number) in {(s.scenario, s.server, s.round) for s in self.samples}


def summarize(run: Run, samples: Iterable[Sample]) -> dict[str, dict[str, Cell]]:
    """
    Return the medians by scenario and server, and CPU times as multiples of the limit's (``ratio``).

    Both medians are those of this run: a machine that was slower yesterday changes no ratio.
    """
    cells: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        cells.setdefault(sample.scenario, {}).setdefault(sample.server, []).append(sample)
    summary = {
        scenario: {name: _cell(run, found) for name, found in servers.items()}
        for scenario, servers in cells.items()
    }
    for servers in summary.values():
        limit = servers[LIMIT_NAME].values.get("cpu_us") if LIMIT_NAME in servers else None
        for name, cell in servers.items():
            cost = cell.values.get("cpu_us")
            if limit and cost is not None:
                servers[name] = replace(cell, values={**cell.values, "ratio": _short(cost / limit)})
    return summary


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _cell(run: Run, samples: list[Sample]) -> Cell:
    good = [sample for sample in samples if sample.error is None]
    names = dict.fromkeys(name for sample in good for name in sample.values)
    values = {}
    for name in names:
        middle = median(sample.values[name] for sample in good if name in sample.values)
        if middle is not None:
            values[name] = _short(middle)
    errors: dict[str, int] = {}
    for sample in samples:
        if sample.error is not None:
            errors[sample.error] = errors.get(sample.error, 0) + 1
    return Cell(run.began, len(good), values, errors)


@dataclass
class Results:
    """The medians of all runs that the documents show."""

    runs: dict[str, Run] = field(default_factory=dict)
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)  # by scenario and server

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what :meth:`write` wrote; nothing when there is no such file."""
        if not path.exists():
            return cls()
        found = json.loads(path.read_text())
        runs = {began: Run(**run) for began, run in found["runs"].items()}
        cells = {
            scenario: {name: Cell(**cell) for name, cell in servers.items()}
            for scenario, servers in found["cells"].items()
        }
        return cls(runs, cells)

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False)
        path.write_text(text + "\n")

    def merge(self, run: Run, summary: Mapping[str, Mapping[str, Cell]]) -> None:
        """Put the medians of a run in the place of older ones; forget runs of which nothing is left."""
        self.runs[run.began] = run
        for scenario, servers in summary.items():
            self.cells.setdefault(scenario, {}).update(servers)
        used = {cell.began for servers in self.cells.values() for cell in servers.values()}
        self.runs = {began: found for began, found in self.runs.items() if began in used}

    def value(self, scenario: str, server: str, name: str) -> float | None:
        """Return a median, or None where there is none."""
        cell = self.cells.get(scenario, {}).get(server)
        return cell.values.get(name) if cell else None
