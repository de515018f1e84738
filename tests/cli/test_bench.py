"""``bench``: what it measures against good and bad servers, and what it says of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import Any

import pytest

from tests.cli.programs import run
from tests.cli.terminal import PROGRAM, Terminal
from tests.servers import ROOT, Server, client_context
from ws4py_middleware.cli import main
from ws4py_middleware.cli.bench.load import Plan, Result, Run
from ws4py_middleware.cli.bench.report import as_dict, describe
from ws4py_middleware.client import WebSocketBaseClient


def measure(url: str, arguments: dict[str, Any] | None = None, *, grace: float = 5.0, **plan: Any) -> Result:
    chosen = {"max_message_size": 2**20, **(arguments or {})}
    phases: list[tuple[str, float]] = []
    chosen_plan = Plan(url, **{"connections": 4, "duration": 0.2, **plan})
    result = Run(chosen_plan, chosen, grace=grace).measure(lambda *phase: phases.append(phase))
    assert all(0 <= done <= 1 for _, done in phases)
    assert ("connecting", 1.0) in phases
    return result


def tell(result: Result) -> str:
    return "\n".join(line for line, _ in describe(result))


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"binary": True, "depth": 16},
        {"size": 0, "depth": 3},
        {"size": 5, "depth": 100, "binary": True},
        {"size": 2**20, "depth": 2, "connections": 2},
        {"rate": 500.0, "connections": 3},
    ],
    ids=str,
)
def test_answers_are_counted_and_timed(peer: Server, plan: dict[str, Any]) -> None:
    result = measure(f"{peer.ws_url}/echo", **plan)
    assert result.errors == 0
    assert result.opened == result.plan.connections == len(result.open_times)
    assert result.answered == len(result.latencies) > 0
    assert 0 < result.latencies.percentile(50) <= result.latencies.max <= 5e9
    assert "errors       none" in tell(result)


def test_pace_is_kept(peer: Server) -> None:
    result = measure(f"{peer.ws_url}/echo", rate=200.0, duration=0.5)
    # A hundred are due; those at the end may come too late to be counted.
    assert result.answered + result.unsent <= 101
    assert result.answered > 10


def test_pace_that_cannot_be_kept_is_told_and_its_waiting_is_counted(peer: Server) -> None:
    result = measure(f"{peer.ws_url}/echo", rate=1e6, duration=0.3)
    assert result.unsent > 0
    assert result.errors == 0
    assert "messages more were due, and had to wait for answers" in tell(result)
    # The last answers are to messages that were due long before they could be sent.
    assert result.latencies.max > 50e6


def test_tls_and_compression(tls_peer: Server) -> None:
    options = {"ssl_options": client_context(), "compression": True}
    result = measure(f"{tls_peer.ws_url}/echo", options, size=2000)
    assert (result.errors, result.opened) == (0, 4)
    assert result.answered


# --- what goes wrong -----------------------------------------------------------------------------------


def test_wrong_answers_are_found(peer: Server) -> None:
    result = measure(f"{peer.ws_url}/liar")
    assert result.wrong >= result.answered > 0
    assert "answers were not what was sent" in tell(result)
    assert measure(f"{peer.ws_url}/liar", any_answer=True).errors == 0


def test_answers_that_do_not_come_are_found(peer: Server) -> None:
    result = measure(f"{peer.ws_url}/silent", grace=0.1, depth=2, duration=0.1)
    assert (result.answered, result.unanswered, result.errors) == (0, 8, 8)
    assert "8 messages were not answered" in tell(result)


def test_connections_that_end_are_found_and_end_it(peer: Server) -> None:
    result = measure(f"{peer.ws_url}/close/4003", duration=30.0)
    assert dict(result.endings) == {(4003, "so it is \x1b[2J"): 4}
    assert result.seconds < 20
    assert "4 connections ended too early: 4003: so it is \\u001b[2J" in tell(result)


def test_messages_that_nobody_has_asked_for_are_found(peer: Server) -> None:
    result = measure(f"{peer.ws_url}/count/3", grace=0.1, connections=1, duration=0.1)
    assert result.errors > 0


def test_connections_that_cannot_be_opened_are_found(peer: Server) -> None:
    class Half(Run):
        """Every second connection goes to where none is to be had."""

        def _make_client(self) -> Any:
            client = super()._make_client()
            self.made = getattr(self, "made", 0) + 1
            client.resource = "/refuse" if self.made % 2 else "/echo"
            return client

    plan = Plan(f"{peer.ws_url}/echo", connections=4, duration=0.1)
    result = Half(plan, {"max_message_size": 2**20}).measure(lambda phase, done: None)
    assert (result.opened, result.errors) == (2, 2)
    assert "2 connections failed: the server answered with 403 FORBIDDEN" in tell(result)


@pytest.mark.parametrize(
    ("size", "depth", "count"), [(125, 3, 4), (125, 10**6, 1025), (2**20, 64, 8), (2**24, 16, 1)]
)
def test_large_messages_are_the_same_bytes(size: int, depth: int, count: int) -> None:
    run = Run(Plan("ws://x/", connections=1, size=size, depth=depth), {"max_message_size": 2**20})
    payloads = {bytes(data) for _, data in run.payloads}
    assert (len(run.payloads), len(payloads)) == (count, count)
    assert {len(data) for data in payloads} == {size}


# --- what is said --------------------------------------------------------------------------------------


def test_busy_client_says_so() -> None:
    result = Result(Plan("ws://x/"), answered=10, seconds=1.0, cpu_seconds=0.97)
    result.latencies.record(10)
    assert "97 % of a core: it is the bottleneck" in tell(result)
    assert as_dict(result)["client_is_busy"]
    result.cpu_seconds = 0.5
    assert "bottleneck" not in tell(result)


def test_program_in_a_pipe(peer: Server) -> None:
    done = run("bench", f"{peer.ws_url}/echo", "-t", "0.2", "-c", "3", PYTHONIOENCODING="ascii")
    assert (done.status, done.err) == (0, "")
    labels = [line.split()[0] for line in done.lines if re.match(r"\w", line)]
    assert labels == ["connections", "messages", "throughput", "latency", "errors", "this"]
    assert any(re.match(r"  from +[\d.]+ ms  #+ +\d", line) for line in done.lines)
    assert b"\x1b" not in done.out


def test_program_writes_json(peer: Server) -> None:
    done = run("bench", f"{peer.ws_url}/liar", "-t", "0.2", "--json", "--size", "1k", "--binary")
    figures = json.loads(done.out)
    assert done.status == 1
    assert (figures["size"], figures["binary"], figures["opened"]) == (1024, True, 10)
    assert figures["errors"]["wrong"] == figures["errors"]["all"] > 0
    assert sum(count for _, count in figures["buckets"]) == figures["messages"]
    assert figures["latency"]["p50"] <= figures["latency"]["p99.9"] <= figures["latency"]["max"]
    assert figures["rate"] == pytest.approx(figures["messages"] / figures["seconds"], rel=0.01)


def test_program_on_a_terminal_shows_a_bar(peer: Server) -> None:
    with Terminal([*PROGRAM, "bench", f"{peer.ws_url}/echo", "-t", "1"]) as terminal:
        terminal.see("measuring ")
        terminal.wait()
    assert terminal.status == 0
    assert "errors       none" in terminal.text
    assert "measuring" not in terminal.text


def test_interrupted_program_tells_what_there_was(peer: Server) -> None:
    with subprocess.Popen(
        [*PROGRAM, "bench", f"{peer.ws_url}/meet", "-t", "30", "--json"], stdout=subprocess.PIPE, cwd=ROOT
    ) as program:
        with WebSocketBaseClient(f"{peer.ws_url}/meet/await", open_timeout=30) as client:
            client.receive(30)
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=20)
    assert program.returncode == 130
    figures = json.loads(out)
    assert figures["interrupted"]
    assert figures["opened"] == 10


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["ws://127.0.0.1:1/"], 4, "cannot connect: "),
        (["gopher://x"], 2, "the URL's scheme is 'gopher'"),
        (["ws://x", "-c", "0"], 2, "0 is not in the range"),
        (["ws://x", "-c", "999999999"], 2, "ulimit -n"),
        (
            ["ws://x", "-r", "nan"],
            2,
            "'nan' is no number of messages a second; that is more than 0, at most 1000000",
        ),
        (["ws://x", "-r", "inf"], 2, "'inf' is no number of messages a second"),
        (["ws://x", "--rate=-5"], 2, "'-5' is no number of messages a second"),
        (["ws://x", "-r", "0"], 2, "'0' is no number of messages a second"),
        (["ws://x", "-r", "many"], 2, "'many' is no number of messages a second"),
        (["ws://x", "-n", "16M", "-d", "1000"], 2, "would have 160,002 MiB on the way, and may have 1,024"),
        (["ws://x", "-n", "0", "-d", "99999999"], 2, "MiB on the way, and may have 1,024"),
    ],
)
def test_no_measurement_is_told(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == status
    said = capsys.readouterr()
    assert text in " ".join(said.err.split())
    assert said.out == ""
