"""The command line: ``python -m benchmarks echo|broadcast|idle|blocking|rooms|parser|all``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine, parsers, rooms, scenarios, table
from benchmarks.load import LoadError, build
from benchmarks.scenarios import BROADCAST, ECHO, Sample, Scenario, Window
from benchmarks.servers import SERVERS, Server, missing

DISTRIBUTIONS = [
    "ws4py_middleware",
    "gunicorn",
    "gevent",
    "Flask",
    "ws4py",
    "websockets",
    "flask-sock",
    "simple-websocket",
    "gevent-websocket",
    "wsproto",
]
ALL = [*SERVERS, *rooms.SERVERS]
TITLE = """# Benchmarks

CPU time is user and system time of the *server process* for each message, in microseconds: less is better.
Every server gets the same load from the same generator, which compares what comes back with what it sent.
Servers take turns in every round, each is started afresh for each run, and the median of the rounds counts.
Server and load generator have a core each.
"""
IDLE_COLUMNS = {
    "rss_kib": "KiB a connection",
    "after_kib": "… after one message",
    "connect_cpu_us": "CPU µs a connect",
    "idle_percent": "CPU % when idle",
    "threads": "threads",
    "http_ms": "HTTP beside, median ms",
    "http_max_ms": "… slowest ms",
}


BLOCKING_COLUMNS = {
    "quiet_p50_us": "quiet: median",
    "quiet_p99_us": "… 99th percentile",
    "p50_us": "beside: median",
    "p99_us": "… 99th percentile",
    "max_us": "… slowest",
    "factor": "99th percentile, times the quiet one's",
    "slept": "messages a second of those that sleep",
}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=["echo", "broadcast", "idle", "blocking", "rooms", "parser", "all"])
    parser.add_argument("--servers", help="names, separated by commas: " + ", ".join(s.name for s in ALL))
    parser.add_argument(
        "--scenarios", help="of echo and broadcast: " + ", ".join(s.name for s in ECHO + BROADCAST)
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="interleaved rounds, of which the median counts (3)"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="measured seconds of one run (3)")
    parser.add_argument("--warm", type=float, default=0.5, help="seconds before them (0.5)")
    parser.add_argument("--connections", type=int, default=3000, help="idle connections to hold (3000)")
    parser.add_argument(
        "--output", default="docs/benchmarks.md", help="document to write into, or - (%(default)s)"
    )
    parser.add_argument("--json", help="file for every sample, as JSON")
    options = parser.parse_args(arguments)
    for option, known in (("servers", ALL), ("scenarios", ECHO + BROADCAST)):
        chosen = getattr(options, option)
        names = [entry.name for entry in known]
        setattr(options, option, chosen.split(",") if chosen else names)
        unknown = set(getattr(options, option)) - set(names)
        if unknown:
            parser.error(f"--{option}: no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _collect(
    servers: list[Server], names: list[str], count: int, once: Callable[[Server, str], Sample], shown: str
) -> list[Sample]:
    samples = []
    for sample in scenarios.rounds(servers, names, count, once):
        samples.append(sample)
        value = sample.error or f"{table.format_number(sample.values[shown])} {shown}"
        _say(f"{sample.scenario:>8}  {sample.server:<20} {value}")
    return samples


def _titles(servers: list[Server]) -> dict[str, str]:
    return {server.name: server.title for server in servers}


def _section(
    intro: str, samples: list[Sample], scenario: str, servers: list[Server], columns: Mapping[str, str]
) -> str:
    """Write what was measured in one scenario, below what it is."""
    shown = table.columns(samples, scenario, _titles(servers), columns)
    return "\n".join(part for part in (intro, shown, table.errors(samples)) if part)


def _driven(
    load: list[Scenario], options: argparse.Namespace, servers: list[Server]
) -> tuple[list[Sample], str]:
    chosen = {scenario.name: scenario for scenario in load if scenario.name in options.scenarios}
    if not chosen:
        return [], ""
    window, cores = Window(options.warm, options.seconds), machine.choose_cores()
    samples = _collect(
        servers,
        list(chosen),
        options.rounds,
        lambda server, name: scenarios.measure(server, chosen[name], window, cores),
        "cpu_us",
    )
    titles = _titles(servers)
    parts = [
        "\n".join(f"* `{scenario.name}`: {scenario.title}" for scenario in chosen.values()) + "\n",
        "CPU of the server, µs a message:\n",
        table.pivot(samples, "cpu_us", titles, list(chosen)),
        "Messages a second:\n",
        table.pivot(samples, "messages_per_second", titles, list(chosen)),
        "Round trip, 99th percentile, µs:\n",
        table.pivot(samples, "p99_us", titles, list(chosen)),
        table.errors(samples),
    ]
    return samples, "\n".join(part for part in parts if part)


def _idle(options: argparse.Namespace, servers: list[Server]) -> tuple[list[Sample], str]:
    cores = machine.choose_cores()
    samples = _collect(
        servers,
        ["idle"],
        options.rounds,
        lambda server, name: scenarios.measure_idle(server, options.connections, cores),
        "rss_per_connection",
    )
    intro = (
        f"{options.connections:,} connections are open and silent. Memory is what the server's resident set "
        f"grew by; HTTP is {scenarios.HTTP_REQUESTS} plain requests one after the other, each on a fresh "
        "connection, while they are held.\n"
    )
    return samples, _section(intro, list(map(_idle_columns, samples)), "idle", servers, IDLE_COLUMNS)


def _idle_columns(sample: Sample) -> Sample:
    values = dict(sample.values)
    if values:
        values["rss_kib"] = values["rss_per_connection"] / 1024
        values["after_kib"] = values["after_message"] / 1024
        values["idle_percent"] = values["idle_cpu"] * 100
    return Sample(sample.scenario, sample.server, values, sample.error)


def _blocking(options: argparse.Namespace, servers: list[Server]) -> tuple[list[Sample], str]:
    servers = [server for server in servers if server.sleeps]
    window, cores = Window(options.warm, options.seconds), machine.choose_cores()
    samples = _collect(
        servers,
        ["blocking"],
        options.rounds,
        lambda server, name: scenarios.measure_blocking(server, window, cores),
        "factor",
    )
    intro = (
        f"100 connections echo 32 B each, first alone and then beside {scenarios.SLEEPERS} whose handler "
        "sleeps a second for each message and gets the next one at once. Round trips of the 100, in µs:\n"
    )
    return samples, _section(intro, samples, "blocking", servers, BLOCKING_COLUMNS)


def _rooms(options: argparse.Namespace, servers: list[Server]) -> tuple[list[Sample], str]:
    window, cores = Window(options.warm, options.seconds), machine.choose_cores()
    samples = _collect(
        servers,
        ["rooms"],
        options.rounds,
        lambda server, name: rooms.measure_rooms(server, window, cores),
        "deliveries_per_second",
    )
    return samples, _section(rooms.INTRO, samples, "rooms", servers, rooms.COLUMNS)


def _parser(options: argparse.Namespace) -> tuple[list[Sample], str]:
    names = [name for name in parsers.PARSERS if parsers.available(name)]
    samples = []
    for sample in parsers.measure_parsers(names, options.rounds, seconds=0.3):
        samples.append(sample)
        _say(f"{sample.scenario:>8}  {sample.server:<20} {table.format_number(sample.values['us'])} us")
    titles = {name: parsers.PARSERS[name][0] for name in names}
    parts = [
        "\n".join(f"* `{name}`: {title}" for name, (title, _, _) in parsers.CASES.items()) + "\n",
        "Parsing alone, in one process, fed in pieces of 64 KiB. CPU µs:\n",
        table.pivot(samples, "us", titles, list(parsers.CASES)).replace("| server |", "| parser |"),
    ]
    return samples, "\n".join(parts)


def _foot(command: str, distributions: list[str]) -> str:
    lines = [
        *machine.describe(distributions),
        dt.datetime.now(dt.timezone.utc).date().isoformat(),
        f"`{command}`",
    ]
    return "\n" + "\n".join(f"* {line}" for line in lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the document; return the exit status: 1 when nothing could be measured."""
    options = parse_arguments(arguments)
    command = "python -m benchmarks " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    machine.allow_open_files()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that servers are stopped
    servers = []
    for server in (server for server in ALL if server.name in options.servers):
        absent = missing(server)
        if absent:
            _say(f"{server.name} is left out: {', '.join(absent)} not installed")
        else:
            servers.append(server)
    if options.what != "parser":
        try:
            build("wsload")
        except LoadError as error:
            _say(str(error))
            return 1
    everybody = [server for server in servers if server in SERVERS]
    compared = [server for server in everybody if server.compared]
    jobs: dict[str, tuple[str, Callable[[], tuple[list[Sample], str]]]] = {
        "echo": ("Echo", lambda: _driven(ECHO, options, compared)),
        "broadcast": ("Broadcast", lambda: _driven(BROADCAST, options, compared)),
        "idle": ("Idle connections", lambda: _idle(options, compared)),
        "blocking": ("Beside handlers that block", lambda: _blocking(options, everybody)),
        "rooms": (
            "Rooms across workers",
            lambda: _rooms(options, [s for s in servers if s in rooms.SERVERS]),
        ),
        "parser": ("Parser", lambda: _parser(options)),
    }
    output = None if options.output == "-" else Path(options.output)
    document = output.read_text() if output is not None and output.exists() else TITLE
    samples: list[Sample] = []
    for name, (title, job) in jobs.items():
        if options.what not in (name, "all"):
            continue
        found, body = job()
        if found:
            samples += found
            foot = _foot(command, rooms.DISTRIBUTIONS if name == "rooms" else DISTRIBUTIONS)
            document = table.replace_section(document, name, f"## {title}\n\n{body}{foot}")
    if output is None:
        print(document)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(document)
        _say(f"written: {output}")
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(sample) for sample in samples], indent=1))
    return 0 if any(sample.error is None for sample in samples) else 1


if __name__ == "__main__":
    sys.exit(main())
