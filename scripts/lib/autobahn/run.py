"""
Run wstest against one target after the other, or several at a time: its fuzzing client against the echo
example on each server, its fuzzing server against each client.

``scripts/autobahn`` is the entrance, and its head is the manual.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

from scripts.lib.autobahn.docs import build_page
from scripts.lib.autobahn.suite import choose_cases, run_fuzzing_client, run_fuzzing_server
from scripts.lib.autobahn.targets import (
    CLIENTS,
    SERVERS,
    TARGETS,
    USUAL,
    Known,
    accept,
    find_surprises,
    read_expected,
)
from scripts.lib.autobahn.verdicts import MANY, Verdict, format_verdicts, read_verdicts
from tests.servers import ROOT, start


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run against one target brought."""

    name: str
    verdicts: Sequence[Verdict]
    #: What went wrong besides: tracebacks, a server that did not stop.
    problems: Sequence[str]
    wall: float

    def __str__(self) -> str:
        lines = [f"== {TARGETS[self.name].title}", format_verdicts(self.verdicts)]
        lines += [f"  {problem}" for problem in self.problems]
        return "\n".join([*lines, f"  wall {self.wall:.0f} s"])


def count_tracebacks(log: str, *, ours_only: bool) -> int:
    """Count tracebacks; uvicorn logs one of its own for each message that is not UTF-8."""
    found = re.findall(r"Traceback \(most recent call last\):\n((?:[ |].*\n)*)", log)
    package = str(ROOT / "ws4py_middleware") + os.sep
    return sum(package in lines for lines in found) if ours_only else len(found)


def run_target(name: str, cases: Sequence[str], folder: Path, limit: float) -> Outcome:
    """Run the cases against one server or client."""
    target = TARGETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.json"), *folder.glob("*.html"), *folder.glob("*.log")]:
        old.unlink()
    print(f"== {target.title}: {len(cases)} cases ...", flush=True)
    began = time.monotonic()
    try:
        problems = (_run_client if target.is_client else _run_server)(name, cases, folder, limit)
    except RuntimeError as error:  # it did not start
        problems = [str(error)]
    return Outcome(name, read_verdicts(folder, cases), problems, time.monotonic() - began)


def _run_server(name: str, cases: Sequence[str], folder: Path, limit: float) -> list[str]:
    target = TARGETS[name]
    with start(target.kind, target.app, directory=folder) as server:
        problems = [run_fuzzing_client(name, server.port, cases, folder, limit)]
        server.signal()
        try:
            server.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            problems.append("the server did not stop within 20 s of its signal; it is killed")
        problems.append(tell_tracebacks(server.log_path, ours_only=target.asgi))
    return [problem for problem in problems if problem]


def _run_client(name: str, cases: Sequence[str], folder: Path, limit: float) -> list[str]:
    problem = run_fuzzing_server(name, TARGETS[name].kind, cases, folder, limit)
    return [each for each in (problem, tell_tracebacks(folder / "client.log", ours_only=False)) if each]


def tell_tracebacks(log: Path, *, ours_only: bool) -> str:
    """Say how many tracebacks there are in a log; nothing when there are none."""
    tracebacks = count_tracebacks(log.read_text(errors="replace"), ours_only=ours_only)
    return f"{tracebacks} tracebacks in {log}" if tracebacks else ""


def run_targets(cases: Mapping[str, Sequence[str]], out: Path, limit: float, jobs: int) -> Iterator[Outcome]:
    """Run the cases of each target, ``jobs`` targets at a time; yield what has ended."""
    # The long ones first, so that none of them is left alone at the end.
    names = sorted(cases, key=lambda name: len(cases[name]), reverse=True)
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run_target, name, cases[name], out / name, limit) for name in names]
        for future in as_completed(futures):
            yield future.result()


def check(name: str, verdicts: Sequence[Verdict], known: Known) -> bool:
    """Print what is otherwise than known; return whether there is nothing."""
    surprises = find_surprises(verdicts, known.get(name, {}))
    for surprise in surprises[:MANY]:
        print(f"  NOT FINE {surprise}")
    if len(surprises) > MANY:
        print(f"  NOT FINE ... and {len(surprises) - MANY} more")
    return not surprises


def write_docs(out: Path, cases: Sequence[str], known: Known, sections: Mapping[str, str]) -> None:
    """Write docs/topics/conformance.md from the reports of all that belongs there, of this run or earlier."""
    runs: dict[str, list[Verdict]] = {}
    for name, target in TARGETS.items():
        if target.documented:
            verdicts = read_verdicts(out / name, cases)
            if any(verdict.behavior == "MISSING" for verdict in verdicts) or not check(name, verdicts, known):
                option = f"--client {target.kind}" if target.is_client else f"--server {name}"
                raise SystemExit(f"autobahn: first run: scripts/autobahn all {option}")
            runs[name] = verdicts
    packages = ("ws4py_middleware", *("gunicorn", "gevent", "cherrypy", "uvicorn", "websockets", "tornado"))
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    page = build_page(runs, sections, f"Python {platform.python_version()}, {versions}")
    (ROOT / "docs" / "topics" / "conformance.md").write_text(page)
    print("== wrote docs/topics/conformance.md")


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="autobahn", add_help=False)
    parser.add_argument("cases", nargs="?", default="ci")
    parser.add_argument("--server", action="append", choices=SERVERS, default=[])
    parser.add_argument("--client", action="append", choices=CLIENTS, default=[])
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "autobahn")
    parser.add_argument("--limit", type=float, default=3600.0)
    args = parser.parse_args(argv)
    suite = json.loads(Path(os.environ["WSTEST_DIR"], "cases.json").read_text())
    names = [*args.server, *(f"client-{kind}" for kind in args.client)] or USUAL
    sets = {name: TARGETS[name].ci if args.cases == "ci" else args.cases for name in names}
    cases = {name: choose_cases(wanted, suite["cases"]) for name, wanted in sets.items()}
    out: Path = args.out.resolve()
    good = True
    began = time.monotonic()
    for outcome in run_targets(cases if any(cases.values()) else {}, out, args.limit, args.jobs):
        print(outcome)
        if args.accept and TARGETS[outcome.name].asgi:
            accept(outcome.name, outcome.verdicts)
        good = check(outcome.name, outcome.verdicts, read_expected()) and not outcome.problems and good
        sys.stdout.flush()
    if args.write_docs:
        write_docs(out, suite["cases"], read_expected(), suite["sections"])
    print(f"== conformance: {'as it should be' if good else 'NOT FINE'}, {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
