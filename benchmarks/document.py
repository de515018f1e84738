"""The document: the medians as tables, with the machine, the versions, the date and the command below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks import chart, parsers, rooms, scenarios
from benchmarks.lineup import BASE, SERVERS, WEBSOCKETS
from benchmarks.results import Results
from benchmarks.scenarios import BROADCAST, BUSY_SCENARIO, CONNECT, DEFLATE_SCENARIO, ECHO, IDLE, JSON
from benchmarks.table import NOTHING, columns, errors, format_number, format_ratio, pivot, replace_section

__all__ = ["CHART", "DATA", "DOCUMENT", "TITLE", "render", "write"]

DOCS = Path(__file__).parent.parent / "docs"
DOCUMENT, DATA, CHART = [
    DOCS / name for name in ("topics/benchmarks.md", "topics/benchmarks.json", "images/benchmarks.svg")
]
TITLE = """# Benchmarks

What a WebSocket costs on this library and on others, each in its usual set-up, beside a minimal echo server
in C: the limit of what the machine and the kernel allow.

CPU time is user and system time of the *server process* for each message: less is better. Every server gets
the same load from the same generator, a program in C, which compares what comes back with what it sent.
Server and generator have a core each. Servers are started afresh in each round and take turns in each
scenario; the median of the rounds counts. A ratio is the server's CPU time over the limit's, in the same run.

```console
$ pip install -e '.[bench]'
$ python -m benchmarks all --write-docs             # three rounds, about twelve minutes
$ python -m benchmarks all --write-docs --resume    # goes on where that was interrupted
$ python -m benchmarks echo --servers ours-gthread,picows --write-docs    # these two and the limit, merged
$ python -m benchmarks blocking rooms --write-docs  # what `all` leaves out
```

It needs a C compiler, zlib's headers for compressed messages, and Node with `ws` for that row. Two cores are
enough; nothing else should use them. `benchmarks/lineup.py` is who is measured, `benchmarks/apps` is how:

* Every library has the limits lifted that would end the measurement (16 MiB a message, 4096 connections that
  wait), and else what it has by itself. Those that compress only on demand are told to in `deflate` alone.
* picows' listeners, gevent-websocket, flask-sock and ws4py do not compress.
* uWebSockets is the library in the wheel of socketify, driven by a few lines of C; its row has no JSON.
* uvicorn with wsproto and ws4py on CherryPy are echoed and held idle only.
"""
_OVERVIEW = [each.name for each in [*ECHO, JSON, *BROADCAST, CONNECT]]
_ASGI = [each.name for each in [*ECHO, JSON, *BROADCAST]]
_TITLES = {server.name: server.title for server in SERVERS}
_ONE = {
    "ratio": "× the limit",
    "cpu_us": "CPU, µs a message",
    "messages_per_second": "messages a second",
    "p50_us": "round trip, median µs",
    "p99_us": "… 99th percentile",
    "p999_us": "… 99.9th",
}
_WITHOUT_RATIO = {name: title for name, title in _ONE.items() if name != "ratio"}
_CONNECT = {
    "ratio": "× the limit",
    "cpu_us": "CPU, µs a connection",
    "messages_per_second": "connections a second",
    "p50_us": "from connect to Close, median µs",
    "p99_us": "… 99th percentile",
}
_BUSY = {
    "messages_per_second": "messages a second",
    "p50_us": "round trip, median µs",
    "p99_us": "… 99th percentile",
    "p999_us": "… 99.9th",
}
_IDLE = {
    "rss_kib": "KiB a connection",
    "after_kib": "… after one message",
    "all_mib": "MiB in all",
    "connect_cpu_us": "CPU µs a connect",
    "idle_percent": "CPU % when idle",
    "threads": "threads",
    "http_ms": "HTTP beside, median ms",
    "http_max_ms": "… slowest ms",
}
_BLOCKING = {
    "quiet_p50_us": "quiet: median",
    "quiet_p99_us": "… 99th percentile",
    "p50_us": "beside: median",
    "p99_us": "… 99th percentile",
    "max_us": "… slowest",
    "factor": "99th percentile, times the quiet one's",
    "slept": "messages a second of those that sleep",
}


def _said(each: Iterable[scenarios.Scenario]) -> str:
    return "\n".join(f"* `{scenario.name}`: {scenario.title}" for scenario in each) + "\n"


def _overview(results: Results) -> str:
    def cell(scenario: str, server: str) -> str:
        if scenario == DEFLATE_SCENARIO.name:
            return format_ratio(_over(results, scenario, server, WEBSOCKETS.name))
        return format_ratio(results.value(scenario, server, "ratio"))

    def over_base(scenario: str, server: str) -> str:
        return format_ratio(_over(results, scenario, server, BASE.name))

    caveat = f"does not compress: `{DEFLATE_SCENARIO.name}` is compared with {WEBSOCKETS.title}"
    parts = [
        _said([*ECHO, JSON, *BROADCAST, CONNECT, DEFLATE_SCENARIO]),
        f"The limit does not read JSON, and {caveat}.\n",
        pivot(results, _TITLES, [*_OVERVIEW, DEFLATE_SCENARIO.name], cell),
        f"![{chart.TITLE}](../{CHART.relative_to(DOCS)})\n",
    ]
    ours = {"ours-asgi": _TITLES["ours-asgi"]}
    if any(_over(results, scenario, "ours-asgi", BASE.name) for scenario in _ASGI):
        parts += [f"The same, × {BASE.title}, on the same server:\n", pivot(results, ours, _ASGI, over_base)]
    return "\n".join(parts)


def _over(results: Results, scenario: str, server: str, base: str) -> float | None:
    cost, limit = (results.value(scenario, name, "cpu_us") for name in (server, base))
    return cost / limit if cost is not None and limit else None


def _driven(results: Results, chosen: Sequence[scenarios.Scenario]) -> str:
    names = [scenario.name for scenario in chosen]

    def round_trip(scenario: str, server: str) -> str:
        values = [results.value(scenario, server, name) for name in ("p50_us", "p99_us", "p999_us")]
        return (
            " / ".join(map(format_number, values)) if any(value is not None for value in values) else NOTHING
        )

    parts = [
        _said(chosen),
        "CPU of the server, µs a message:\n",
        pivot(results, _TITLES, names, "cpu_us"),
        "Messages a second:\n",
        pivot(results, _TITLES, names, "messages_per_second"),
        "Round trip, µs: median / 99th percentile / 99.9th:\n",
        pivot(results, _TITLES, names, round_trip),
    ]
    return "\n".join(parts)


def _one(results: Results, scenario: scenarios.Scenario, shown: Mapping[str, str], more: str = "") -> str:
    return f"{_said([scenario])}\n{more}" + columns(results, scenario.name, _TITLES, shown)


def _idle(results: Results) -> str:
    intro = (
        "Connections are open and silent. Memory is what the server's resident set grew by beyond the worker "
        f"that is empty; HTTP is {scenarios.HTTP_REQUESTS} plain requests one after the other, each on a "
        "fresh connection, while they are held.\n"
    )
    parts = [intro]
    for name in IDLE:
        if results.cells.get(name):
            held = max(
                cell.values.get("opened", 0.0) for cell in results.cells[name].values()
            )  # what was asked for
            parts += [f"{held:,.0f} connections:\n", columns(results, name, _TITLES, _IDLE)]
    return "\n".join(parts)


def _parser(results: Results) -> str:
    titles = {name: title for name, (title, _, _) in parsers.PARSERS.items()}
    cases = "\n".join(f"* `{name}`: {title}" for name, (title, _, _) in parsers.CASES.items())
    shown = pivot(results, titles, list(parsers.CASES), "us", "parser")
    return f"{cases}\n\nParsing alone, in one process, fed in pieces of 64 KiB. CPU µs:\n\n{shown}"


def _blocking(results: Results) -> str:
    intro = (
        f"100 connections echo 32 B each, first alone and then beside {scenarios.SLEEPERS} whose handler "
        "sleeps a second for each message and gets the next one at once. Round trips of the 100, in µs:\n"
    )
    return intro + "\n" + columns(results, "blocking", _TITLES, _BLOCKING)


def _rooms(results: Results) -> str:
    titles = {server.name: server.title for server in rooms.SERVERS}
    return rooms.INTRO + "\n" + columns(results, "rooms", titles, rooms.COLUMNS)


def _foot(results: Results, names: Sequence[str]) -> str:
    """Say where, when and how these scenarios were measured; more than once when several runs are in them."""
    runs: dict[str, dict[str, None]] = {}  # by the run: whose numbers are of it
    for name in names:
        for server, cell in results.cells.get(name, {}).items():
            runs.setdefault(cell.began, {})[server] = None
    parts = []
    for began in sorted(runs):
        run = results.runs[began]
        whose = [f"{', '.join(runs[began])}:"] if len(runs) > 1 else []
        lines = [*whose, *run.lines, began[:10], f"`{run.command}`"]
        parts.append("\n".join(f"* {line}" for line in lines) + "\n")
    return "\n".join(parts)


def _sections(results: Results) -> list[tuple[str, str, Sequence[str], str]]:
    """Return the name, the title, the scenarios and the body of each section."""
    echo, broadcast = [each.name for each in ECHO], [each.name for each in BROADCAST]
    busy = (
        "Such a thread, in a worker that renders a page, holds the interpreter's lock for 5 ms each time."
        "\nHere the server may use both cores, as where it is deployed. The limit has no such thread.\n\n"
    )
    return [
        ("overview", "CPU time, × the limit", [*_OVERVIEW, DEFLATE_SCENARIO.name], _overview(results)),
        ("echo", "Echo", echo, _driven(results, ECHO)),
        ("broadcast", "Broadcast", broadcast, _driven(results, BROADCAST)),
        ("json", "A handler that reads and writes JSON", [JSON.name], _one(results, JSON, _ONE)),
        (
            "deflate",
            "Compression",
            [DEFLATE_SCENARIO.name],
            _one(results, DEFLATE_SCENARIO, _WITHOUT_RATIO),
        ),
        (
            "busy",
            "Beside a thread that computes",
            [BUSY_SCENARIO.name],
            _one(results, BUSY_SCENARIO, _BUSY, busy),
        ),
        ("connect", "Opening and closing", [CONNECT.name], _one(results, CONNECT, _CONNECT)),
        ("idle", "Idle connections", list(IDLE), _idle(results)),
        ("parser", "Parser", list(parsers.CASES), _parser(results)),
        ("blocking", "Beside handlers that block", ["blocking"], _blocking(results)),
        ("rooms", "Rooms across workers", ["rooms"], _rooms(results)),
    ]


def render(results: Results, document: str) -> str:
    """Put every section that has numbers into the document, whose other text stays."""
    sections = _sections(results)
    for number, (name, title, measured, body) in enumerate(sections):
        if any(results.cells.get(scenario) for scenario in measured):
            parts = [body, errors(results, measured), _foot(results, measured)]
            text = "\n".join(part for part in parts if part)
            later = [each[0] for each in sections[number + 1 :]]
            document = replace_section(document, name, f"## {title}\n\n{text}", later)
    return document


def write(results: Results) -> None:
    """Write the document and the chart."""
    document = DOCUMENT.read_text() if DOCUMENT.exists() else TITLE
    DOCUMENT.write_text(render(results, document))
    CHART.write_text(chart.render(results))
