"""The testsuite itself: which cases there are, and wstest, as client or as server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers import ROOT, free_port

CORE = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
LIMITS = ["9.*"]


def _deflate(*sizes: int) -> list[str]:
    """Return the compression cases of some sizes: the last numbers of their names."""
    groups = [f"12.{group}" for group in range(1, 6)] + [f"13.{group}" for group in range(1, 8)]
    return [f"{group}.{size}" for group in groups for size in sizes]


SETS = {
    "all": ["*"],
    "none": [],
    "core": CORE,
    "limits": LIMITS,
    "deflate": ["12.*", "13.*"],
    # Messages of 16 bytes to 4 KiB, and of 8 KiB in fragments: 5 % of the time of 12.* and 13.*
    "ci": CORE + LIMITS + _deflate(1, 2, 3, 4, 5, 11),
    # Compression is switched on in each way, and works: messages of 256 bytes.
    "brief": CORE + LIMITS + _deflate(3),
}
# Patient enough for a loaded machine; the suite's own values are 1 s.
OPTIONS = '{"closeHandshakeTimeout":5,"serverConnectionDropTimeout":5}'


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


def run_fuzzing_client(name: str, port: int, cases: Sequence[str], folder: Path, limit: float) -> str:
    """
    Run the fuzzing client against a server; its reports are in ``folder`` afterwards.

    Returns:
        What went wrong with the run itself, such as that it was cut short; usually nothing.
    """
    spec = {"servers": [{"agent": name, "url": f"ws://127.0.0.1:{port}/"}]}
    with _wstest("fuzzingclient", spec, cases, folder) as process:
        return _wait(process, "wstest", limit)


def run_fuzzing_server(name: str, kind: str, cases: Sequence[str], folder: Path, limit: float) -> str:
    """Run the fuzzing server, and a client of one kind against it; as :func:`run_fuzzing_client`."""
    with _serve(cases, folder) as port, (folder / "client.log").open("wb") as out:
        words = [kind, f"ws://127.0.0.1:{port}", name, str(len(cases))]
        command = [sys.executable, "-m", "scripts.lib.autobahn.clients", *words]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            return _wait(process, "the client", limit)
        finally:
            _end(process)


@contextlib.contextmanager
def _wstest(mode: str, spec: Mapping[str, Any], cases: Sequence[str], folder: Path) -> Iterator[Any]:
    """Run wstest for the length of a block; it writes its reports when it is ended, too."""
    path = folder / "spec.json"
    options = json.loads(os.environ.get("WSTEST_OPTIONS") or OPTIONS)
    if mode == "fuzzingserver":
        options.pop("serverConnectionDropTimeout", None)  # a client's: how long it waits for the server's FIN
    more = {
        "outdir": str(folder),
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
        "options": options,
    }
    path.write_text(json.dumps({**spec, **more}, indent=1))
    wstest = Path(os.environ["WSTEST_DIR"], "bin", "wstest-loopback")
    # -u 0: no pages for people, which would be on port 8080.
    command = [str(wstest), "-m", mode, "-s", str(path), "-u", "0"]
    with (folder / "wstest.log").open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        _end(process)


@contextlib.contextmanager
def _serve(cases: Sequence[str], folder: Path) -> Iterator[int]:
    """Run the fuzzing server on a free port."""
    for retries in (2, 1, 0):
        port = free_port()
        with _wstest("fuzzingserver", {"url": f"ws://127.0.0.1:{port}"}, cases, folder) as process:
            if _wait_until_listening(port, lambda: process.poll() is None):
                yield port
                return
        log = (folder / "wstest.log").read_text(errors="replace")
        # Between choosing the port and the server's bind() somebody else may have taken it.
        if not retries or "CannotListenError" not in log:
            raise RuntimeError(f"wstest did not start:\n{log}")


def _wait_until_listening(port: int, is_alive: Callable[[], bool], timeout: float = 30.0) -> bool:
    deadline = time.monotonic() + timeout
    while is_alive() and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return is_alive()
        time.sleep(0.05)
    return False


def _wait(process: subprocess.Popen[bytes], who: str, limit: float) -> str:
    try:
        status = process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return f"{who} is ended after {limit:.0f} s"
    return f"{who} ended with status {status}" if status else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
