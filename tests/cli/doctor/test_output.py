"""What the doctor prints: in a terminal, in a pipe, as JSON; and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from tests.cli.doctor.setups import APPS
from tests.cli.terminal import PROGRAM, Terminal
from tests.servers import ROOT, free_port, start, wait_for
from ws4py_middleware.cli.doctor.findings import Report, is_healthy
from ws4py_middleware.cli.doctor.tables import build_matrix, print_reports

DOCTOR = (*PROGRAM, "doctor")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start("gunicorn-gthread", f"{APPS}careless") as server:
        yield f"ws://127.0.0.1:{server.port}/echo"


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DOCTOR, *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_doctor_in_a_terminal_has_colours_and_a_table(url: str) -> None:
    with Terminal([*DOCTOR, url]) as terminal:
        terminal.wait()
        assert terminal.status == 0
        lines = terminal.lines
    assert lines[0] == url
    assert lines[1].startswith("ok    handshake    /echo is answered with 101 in ")
    assert any(line.startswith("warn  origin_open  a page of any origin may connect") for line in lines)
    assert any(line.lstrip().startswith('→ leave origins at "same"') for line in lines)
    assert "healthy; 1 warning" in lines
    assert terminal.screen.buffer[1][0].fg == "green"


def test_doctor_in_a_narrow_terminal_wraps_and_loses_nothing(url: str) -> None:
    with Terminal([*DOCTOR, url], size=(44, 60)) as terminal:
        terminal.wait()
        shown = "".join("".join(terminal.lines).split())
    assert 'origins=["https://example.com"]' in shown


def test_doctor_in_a_pipe_has_no_colours(url: str) -> None:
    done = run(url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert done.stdout.rstrip().endswith("healthy; 1 warning")


def test_doctor_quiet_shows_what_is_not_good(url: str) -> None:
    lines = run("--quiet", url).stdout.splitlines()
    assert lines[0] == url
    assert lines[1].startswith("warn  origin_open")
    assert not any(line.startswith(("ok", "info")) for line in lines)


def test_doctor_strict_takes_warnings_for_problems(url: str) -> None:
    done = run("--strict", "--json", url)
    [report] = json.loads(done.stdout)
    assert (done.returncode, report["setup"], report["healthy"]) == (1, url, True)
    assert {"level", "code", "what", "why", "do"} == set(report["findings"][0])


def test_doctor_of_what_is_not_there_is_1() -> None:
    done = run(f"ws://127.0.0.1:{free_port()}/")
    assert done.returncode == 1
    assert "unreachable" in done.stdout
    assert done.stdout.rstrip().endswith("1 problem")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ws://example.com/#x",), "fragment"),
        (("--idle", "5", "gunicorn", "app:app"), "for a URL"),
        (("--header", "nothing", "gunicorn", "app:app"), "no header"),
    ],
)
def test_doctor_wrong_usage_is_2(words: tuple[str, ...], says: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_doctor_escapes_what_a_site_says() -> None:
    with start("gunicorn-sync", "tests.cli.doctor.site_app:app") as server:
        done = run(f"ws://127.0.0.1:{server.port}/broken")
        shown = json.loads(run("--json", f"ws://127.0.0.1:{server.port}/broken").stdout)
    assert "Our \\u001b[31mshop" in done.stdout
    assert "\x1b" not in done.stdout
    assert shown[0]["findings"][0]["why"] == "Our \x1b[31mshop"


def test_doctor_shows_the_log_of_the_server_beside_the_result() -> None:
    done = run("--show-log", "--json", "gunicorn", f"{APPS}healthy")
    assert json.loads(done.stdout)[0]["healthy"]
    assert "Booting worker" in done.stderr


def serve(folder: Path) -> list[str]:
    """Return the words of a doctor that looks at a server of no WebSockets, which is found by its folder."""
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder)]
    return [*DOCTOR, *server, "{port}"]


def test_doctor_interrupted_leaves_no_server_behind(tmp_path: Path) -> None:
    with Terminal(serve(tmp_path)) as terminal:
        wait_for(lambda: bool(find_servers(tmp_path)), 15, "the server")
        terminal.interrupt()
        assert terminal.status == 130
    wait_for(lambda: not find_servers(tmp_path), 5, "the server's end")


def test_doctor_terminated_leaves_no_server_behind(tmp_path: Path) -> None:
    with subprocess.Popen(serve(tmp_path), stdout=subprocess.DEVNULL, cwd=ROOT) as doctor:
        wait_for(lambda: bool(find_servers(tmp_path)), 15, "the server")
        doctor.terminate()
        assert doctor.wait(15) == 143
    wait_for(lambda: not find_servers(tmp_path), 5, "the server's end")


def find_servers(folder: Path) -> list[int]:
    """Find the servers of a folder: processes whose command names it, but for the doctor."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(folder) in words and "doctor" not in words:
            found.append(process.pid)
    return found


# --- several reports -----------------------------------------------------------------------------------


def make_reports() -> list[Report]:
    good, bad = Report("gunicorn [red]app:app"), Report("waitress-serve app:app")
    for report in (good, bad):
        report.add("started", seconds=1)
        report.add("ping", ms=1)
    good.add("drain", code=1001, seconds=0, end=1)
    bad.add("drain_silent", do="say goodbye")
    bad.add("worker_held", count=20, seconds=5)
    return [good, bad]


def test_print_reports_of_several_has_a_table_and_what_is_not_good() -> None:
    console = Console(width=120, record=True, markup=False, file=io.StringIO())
    print_reports(console, make_reports())
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert " ".join(lines[0].split()) == "server starts handshake early limit origin close hand-over SIGTERM"
    assert lines[1].split()[2:] == ["yes", "-", "-", "-", "-", "-", "-", "yes"]
    assert lines[2].split()[2:] == ["yes", "-", "-", "-", "-", "-", "BAD", "warn"]
    assert lines[3] == "waitress-serve app:app"
    assert lines[-1] == "1 problem; 1 warning"


def test_build_matrix_fits_into_a_small_terminal() -> None:
    console = Console(width=80, record=True, markup=False, file=io.StringIO())
    console.print(build_matrix(make_reports()))
    shown = console.export_text()
    assert "…" not in shown
    assert "SIGTERM" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_is_healthy_with_and_without_warnings() -> None:
    good, bad = make_reports()
    assert is_healthy([good], strict=True)
    assert not is_healthy([good, bad])
    bad.findings = [each for each in bad.findings if each.code != "worker_held"]
    assert is_healthy([good, bad])
    assert not is_healthy([good, bad], strict=True)
