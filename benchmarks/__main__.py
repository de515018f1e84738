"""The command line: ``python -m benchmarks all``, or some of its sections, or ``render``."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import document, machine
from benchmarks.load import LoadError, build
from benchmarks.plan import SECTIONS, Section, Task, carry_out, make_tasks, names_of, seconds_left
from benchmarks.results import LIMIT_NAME, Record, Results, Run, Sample, summarize
from benchmarks.scenarios import Window
from benchmarks.table import format_number

DISTRIBUTIONS = [
    "ws4py_middleware",
    "gunicorn",
    "gevent",
    "CherryPy",
    "cheroot",
    "uvicorn",
    "uvloop",
    "httptools",
    "picows",
    "socketify",
    "aiohttp",
    "websockets",
    "wsproto",
    "tornado",
    "flask-sock",
    "simple-websocket",
    "gevent-websocket",
    "ws4py",
    "Flask",
    "redis",
    "channels",
    "channels_redis",
    "Django",
    "Flask-SocketIO",
    "python-socketio",
    "python-engineio",
]
#: Which number of a sample is shown while it is measured.
TOLD = {
    "idle": "rss_kib",
    "idle10k": "rss_kib",
    "blocking": "factor",
    "rooms": "deliveries_per_second",
    "busy": "messages_per_second",
    "connect": "messages_per_second",
}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this library beside others; only --write-docs changes the documents.",
    )
    names = [section.name for section in SECTIONS]
    besides = ", ".join(section.name for section in SECTIONS if not section.in_all)
    parser.add_argument(
        "what",
        nargs="+",
        choices=["all", *names, "render"],
        metavar="WHAT",
        help=f"{', '.join(names)}; all: without {besides}; render: write the documents again",
    )
    servers = list(dict.fromkeys(name for section in SECTIONS for name in names_of(section)))
    scenarios = [scenario for section in SECTIONS for scenario in section.scenarios]
    parser.add_argument(
        "--servers", help=f"names, separated by commas; the limit is always among them: {', '.join(servers)}"
    )
    parser.add_argument("--scenarios", help=f"names, separated by commas: {', '.join(scenarios)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (3)")
    parser.add_argument("--seconds", type=float, default=0.3, help="measured seconds of one run (0.3)")
    parser.add_argument("--warm", type=float, default=0.05, help="seconds before them (0.05)")
    parser.add_argument("--connections", type=int, help="idle connections to hold in `idle` (3000)")
    parser.add_argument("--write-docs", action="store_true", help="merge the medians into docs/benchmarks.*")
    parser.add_argument("--resume", action="store_true", help="go on with the last run, if it was the same")
    parser.add_argument(
        "--record", type=Path, default=Path("reports/benchmarks.jsonl"), help="its samples (%(default)s)"
    )
    options = parser.parse_args(arguments)
    for option, known in (("servers", servers), ("scenarios", scenarios)):
        chosen = getattr(options, option)
        setattr(options, option, set(chosen.split(",")) if chosen else set(known))
        unknown = getattr(options, option) - set(known)
        if unknown:
            parser.error(f"--{option}: no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    options.servers.add(LIMIT_NAME)
    return options


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def _told(sample: Sample) -> str:
    if sample.error is not None:
        return sample.error
    name = TOLD.get(sample.scenario, "cpu_us" if "cpu_us" in sample.values else "us")
    return f"{format_number(sample.values[name])} {name}"


def _measure(tasks: list[Task], record: Record, cores: machine.Cores) -> None:
    began = time.monotonic()
    expected = left = seconds_left([t for t in tasks if not record.has(t.scenario, t.server, t.round)])
    _tell(f"{len(tasks)} measurements, about {_minutes(expected)}; samples in {record.path}")
    for sample, remaining in carry_out(tasks, record, cores):
        left = seconds_left(remaining)
        passed = time.monotonic() - began
        factor = (
            passed / (expected - left) if expected - left > 60 else 1.0
        )  # of this machine, once it is known
        _tell(
            f"{_minutes(left * factor):>8} left  {sample.round + 1}  {sample.scenario:>8}  "
            f"{sample.server:<20} {_told(sample)}"
        )
    _tell(f"it took {_minutes(time.monotonic() - began)}")


def _chosen_sections(what: list[str]) -> list[Section]:
    return [each for each in SECTIONS if each.name in what or ("all" in what and each.in_all)]


def _command(words: Sequence[str]) -> str:
    """Return the command, without where the samples are kept and whether some were there before."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--record")
    parser.add_argument("--resume", action="store_true")
    return "python -m benchmarks " + shlex.join(parser.parse_known_args(words)[1])


def _begin(options: argparse.Namespace, command: str) -> Record:
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    run = Run(command, now.isoformat(), machine.describe(DISTRIBUTIONS))
    if options.resume:
        return Record.resume(options.record, run)
    return Record(options.record, run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write what was asked for; return the exit status: 1 when nothing could be measured."""
    options = parse_arguments(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    results = Results.read(document.DATA)
    if "render" in options.what:
        document.write(results)
        return 0
    machine.allow_open_files()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that servers are stopped
    try:
        build("wsload")
    except LoadError as error:
        _tell(str(error))
        return 1
    record = _begin(options, _command(words))
    cores = machine.choose_cores()
    tasks = make_tasks(
        _chosen_sections(options.what),
        lambda scenario, server: (
            scenario in options.scenarios and (server in options.servers or server.startswith("parser-"))
        ),
        options.rounds,
        Window(options.warm, options.seconds),
        cores,
        options.connections,
    )
    _measure(tasks, record, cores)
    if options.write_docs:
        results.merge(record.run, summarize(record.run, record.samples))
        results.write(document.DATA)
        document.write(results)
        _tell(f"written: {document.DOCUMENT}, {document.DATA.name}, {document.CHART.name}")
    else:
        alone = Results()
        alone.merge(record.run, summarize(record.run, record.samples))
        print(document.render(alone, ""))
    return 0 if any(sample.error is None for sample in record.samples) else 1


if __name__ == "__main__":
    sys.exit(main())
