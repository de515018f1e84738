"""
Run wstest's fuzzing client against the echo example under gunicorn.

``scripts/autobahn`` is the entrance, and its head is the manual.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from scripts.lib.autobahn.docs import build_page
from scripts.lib.autobahn.verdicts import Verdict, format_verdicts, read_verdicts

ROOT = Path(__file__).resolve().parents[3]
SERVERS = {
    "sync": ["-k", "sync"],
    "gthread": ["-k", "gthread", "--threads", "2"],
    "gevent": ["-k", "gevent"],
}
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


def find_free_port() -> int:
    """Find a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_server(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server listens, or raise what its log says."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)  # between two looks, not a guess
    raise SystemExit(f"autobahn: the server does not listen; {log}:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def serve(name: str, folder: Path) -> Iterator[int]:
    """Run the echo example under gunicorn for a while; yield its port."""
    port, log = find_free_port(), folder / "server.log"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    command += [*SERVERS[name], "--chdir", str(ROOT / "examples" / "echo"), "autobahn_app:app"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        wait_for_server(port, process, log)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"  the server did not stop within 20 s of SIGTERM; it was killed ({log})")


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


def run_server(name: str, cases: Sequence[str], folder: Path, limit: float) -> tuple[list[Verdict], bool]:
    """Run the cases against one server; return the verdicts, and whether all is well."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.json"), *folder.glob("*.html"), *folder.glob("*.log")]:
        old.unlink()
    print(f"== gunicorn -k {name}: {len(cases)} cases", flush=True)
    start = time.monotonic()
    with serve(name, folder) as port:
        run_wstest(name, port, cases, folder, limit)
    verdicts = read_verdicts(folder, cases)
    print(format_verdicts(verdicts))
    tracebacks = (folder / "server.log").read_text(errors="replace").count("Traceback (most recent")
    if tracebacks:
        print(f"  {tracebacks} tracebacks in {folder / 'server.log'}")
    print(f"  wall {time.monotonic() - start:.0f} s", flush=True)
    return verdicts, not tracebacks and all(verdict.fine for verdict in verdicts)


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="autobahn", add_help=False)
    parser.add_argument("cases", nargs="?", default="ci")
    parser.add_argument("--server", action="append", choices=list(SERVERS))
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "autobahn")
    parser.add_argument("--limit", type=float, default=3600.0)
    args = parser.parse_args(argv)
    if args.write_docs and args.cases != "all":
        parser.error("--write-docs is for a run of all cases")
    known = json.loads(Path(os.environ["WSTEST_DIR"], "cases.json").read_text())
    cases = choose_cases(args.cases, known["cases"])
    out: Path = args.out.resolve()
    runs: dict[str, list[Verdict]] = {}
    good = True
    for name in args.server or ["gthread", "gevent"]:
        runs[f"gunicorn {name}"], well = run_server(name, cases, out / name, args.limit)
        good = good and well
    if args.write_docs:
        versions = ", ".join(f"{name} {version(name)}" for name in ("ws4py_middleware", "gunicorn", "gevent"))
        page = build_page(runs, known["sections"], f"Python {platform.python_version()}, {versions}")
        (ROOT / "docs" / "conformance.md").write_text(page)
        print("== wrote docs/conformance.md")
    print("== conformance:", "all fine" if good else "NOT FINE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
