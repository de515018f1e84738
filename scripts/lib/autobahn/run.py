"""
Run wstest's fuzzing client against the echo example on one server after the other.

``scripts/autobahn`` is the entrance, and its head is the manual.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from scripts.lib.autobahn.docs import build_page
from scripts.lib.autobahn.targets import TARGETS, USUAL, Known, accept, find_surprises, read_expected
from scripts.lib.autobahn.verdicts import Verdict, format_verdicts, read_verdicts
from tests.servers import ROOT, start

CORE = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
LIMITS = ["9.*"]
# The compression cases whose messages are of 8 KiB or less: 7 % of the time of 12.* and 13.*
SMALL_DEFLATE = [
    f"{section}.{group}.{size}"
    for section, groups in ((12, 5), (13, 7))
    for group in range(1, groups + 1)
    for size in (1, 2, 3, 4, 5, 6, 11)
]
SETS = {
    "all": ["*"],
    "none": [],
    "core": CORE,
    "limits": LIMITS,
    "deflate": ["12.*", "13.*"],
    "ci": CORE + LIMITS + SMALL_DEFLATE,
}


def choose_cases(wanted: str, known: Sequence[str]) -> list[str]:
    """
    Turn set names, prefixes and case names into the cases they mean, in the suite's order.

    Raises:
        SystemExit: One of them means nothing.
    """
    chosen: set[str] = set()
    for word in wanted.split(","):
        for pattern in SETS.get(word.strip(), [word.strip()]):
            prefix = pattern[:-1] if pattern.endswith("*") else None
            found = [c for c in known if c == pattern or (prefix is not None and c.startswith(prefix))]
            if not found:
                raise SystemExit(f"autobahn: there is no case {pattern!r}")
            chosen.update(found)
    return [case for case in known if case in chosen]


def run_wstest(name: str, port: int, cases: Sequence[str], folder: Path, limit: float) -> None:
    """Run the fuzzing client; its reports are in ``folder`` afterwards, also when it is cut short."""
    # Patient enough for a loaded machine; the suite's own values are 1 s.
    options = (
        os.environ.get("WSTEST_OPTIONS") or '{"closeHandshakeTimeout":5,"serverConnectionDropTimeout":5}'
    )
    spec = {
        "outdir": str(folder),
        "servers": [{"agent": name, "url": f"ws://127.0.0.1:{port}/"}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
        "options": json.loads(options),
    }
    (folder / "spec.json").write_text(json.dumps(spec, indent=1))
    wstest = Path(os.environ["WSTEST_DIR"], "bin", "wstest-loopback")
    command = [str(wstest), "-m", "fuzzingclient", "-s", str(folder / "spec.json")]
    with (folder / "wstest.log").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        try:
            process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            print(f"  wstest is ended after {limit:.0f} s")
            process.send_signal(signal.SIGTERM)  # it still writes its reports
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def count_tracebacks(log: str, *, ours_only: bool) -> int:
    """Count tracebacks; uvicorn logs one of its own for each message that is not UTF-8."""
    found = re.findall(r"Traceback \(most recent call last\):\n((?:[ |].*\n)*)", log)
    package = str(ROOT / "ws4py_middleware") + os.sep
    return sum(package in lines for lines in found) if ours_only else len(found)


def run_server(name: str, cases: Sequence[str], folder: Path, limit: float) -> tuple[list[Verdict], bool]:
    """Run the cases against one server; return the verdicts, and whether its log is without tracebacks."""
    target = TARGETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.json"), *folder.glob("*.html"), *folder.glob("*.log")]:
        old.unlink()
    print(f"== {target.title}: {len(cases)} cases", flush=True)
    began = time.monotonic()
    with start(target.kind, target.app, directory=folder) as server:
        run_wstest(name, server.port, cases, folder, limit)
        server.signal()
        try:
            server.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            print(f"  the server did not stop within 20 s of its signal; it is killed ({server.log_path})")
        tracebacks = count_tracebacks(server.log, ours_only=target.asgi)
    verdicts = read_verdicts(folder, cases)
    print(format_verdicts(verdicts))
    if tracebacks:
        print(f"  {tracebacks} tracebacks in {server.log_path}")
    print(f"  wall {time.monotonic() - began:.0f} s", flush=True)
    return verdicts, not tracebacks


def check(name: str, verdicts: Sequence[Verdict], known: Known) -> bool:
    """Print what is otherwise than known; return whether there is nothing."""
    surprises = find_surprises(verdicts, known.get(name, {}))
    for surprise in surprises:
        print(f"  NOT FINE {surprise}")
    return not surprises


def write_docs(out: Path, cases: Sequence[str], known: Known, sections: Mapping[str, str]) -> None:
    """Write docs/conformance.md from the reports of all servers that belong there, of this run or earlier."""
    runs: dict[str, list[Verdict]] = {}
    for name, target in TARGETS.items():
        if target.documented:
            verdicts = read_verdicts(out / name, cases)
            if any(verdict.behavior == "MISSING" for verdict in verdicts) or not check(name, verdicts, known):
                raise SystemExit(f"autobahn: first run: scripts/autobahn all --server {name}")
            runs[name] = verdicts
    packages = ("ws4py_middleware", *("gunicorn", "gevent", "cherrypy", "uvicorn", "websockets", "wsproto"))
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    page = build_page(runs, sections, f"Python {platform.python_version()}, {versions}")
    (ROOT / "docs" / "conformance.md").write_text(page)
    print("== wrote docs/conformance.md")


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="autobahn", add_help=False)
    parser.add_argument("cases", nargs="?", default="ci")
    parser.add_argument("--server", action="append", choices=list(TARGETS))
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "autobahn")
    parser.add_argument("--limit", type=float, default=3600.0)
    args = parser.parse_args(argv)
    suite = json.loads(Path(os.environ["WSTEST_DIR"], "cases.json").read_text())
    cases = choose_cases(args.cases, suite["cases"])
    out: Path = args.out.resolve()
    good = True
    for name in args.server or USUAL if cases else ():
        verdicts, quiet = run_server(name, cases, out / name, args.limit)
        if args.accept and TARGETS[name].asgi:
            accept(name, verdicts)
        good = check(name, verdicts, read_expected()) and quiet and good
    if args.write_docs:
        write_docs(out, suite["cases"], read_expected(), suite["sections"])
    print("== conformance:", "as it should be" if good else "NOT FINE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
