"""The judge of soaks, with runs that were made up, and a short run with real ones."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from scripts.lib.soak.judging import HOUR, Rest, Round, choose_bounds, find_slope, judge
from scripts.lib.soak.watching import ASKED_FOR, LogWatch
from tests.servers import ROOT

MiB = 1024 * 1024


@dataclasses.dataclass
class Run:
    """A run in which all is well, and each rest has some of this more."""

    memory: int = 0
    fds: int = 0
    threads: int = 0
    blocks: int = 0
    p99: float = 0.0
    seconds: float = 90.0
    noise: int = 100_000

    def judge(self, count: int = 6) -> list[str]:
        length = self.seconds / count
        rests = [
            Rest(
                n * length,
                30 * MiB + n * self.memory + (self.noise if n % 2 else 0),
                10 + n * self.fds,
                5 + n * self.threads,
                150_000 + n * self.blocks - n % 3 * 100,
            )
            for n in range(count + 1)
        ]
        rounds = [Round(300, 1000, 0.005 + n * self.p99, 1.5, 40 * MiB) for n in range(count)]
        return judge(rests, rounds)[1]


def test_judge_has_nothing_to_say_when_all_is_well() -> None:
    assert Run().judge() == []


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (Run(memory=200_000), "memory at rest grows"),
        (Run(fds=1), "6 descriptors are left"),
        (Run(threads=1), "6 threads are left"),
        (Run(blocks=400), "objects are left"),
        (Run(p99=0.02), "the p99 is not stable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_judge_names_what_is_wrong(run: Run, word: str) -> None:
    assert [word in text for text in run.judge()] == [True]


def test_judge_one_rest_that_is_out_of_line_is_no_trend() -> None:
    rests = [Rest(n * 15.0, 30 * MiB + (9 * MiB if n == 3 else 0), 10, 5, 150_000) for n in range(7)]
    assert judge(rests, [Round(300, 1000, 0.005, 1, 0)] * 6)[1] == []


def test_judge_an_hour_is_p29s() -> None:
    """1 MiB, and 20 %."""
    assert choose_bounds(HOUR) == (MiB, 1.2, 0.002)
    assert Run(memory=MiB // 50, seconds=HOUR, noise=0).judge(45) == []
    assert Run(memory=MiB // 40, seconds=HOUR, noise=0).judge(45) != []


def test_slope_is_that_of_most_points() -> None:
    assert find_slope([(n, 2 * n + (1000 if n == 5 else 0)) for n in range(10)]) == 2


def test_log_only_what_was_asked_for_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogWatch(path)
    good = f"""\
[2026-01-01 00:00:00 +0000] [1] [INFO] Booting worker with pid: 2
127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"
INFO ws4py_middleware.access: closed /echo code=1000
ERROR ws4py_middleware: <Command object> raised an exception; its connection is closed
Traceback (most recent call last):
  File "app.py", line 1, in received_message
    raise ZeroDivisionError
{ASKED_FOR}
"""
    path.write_text(good)
    log.read()
    assert log.wrong == []
    path.write_text(
        good + 'Traceback (most recent call last):\n  File "x", line 1\nValueError: a fault\nodd\nhal'
    )
    log.read()
    assert log.wrong == [
        "1 times in the server's log: ValueError: a fault",
        "1 times in the server's log: odd",
    ]


@pytest.mark.slow
def test_soak_runs_and_tells_what_it_has_seen() -> None:
    """So short that its verdict says nothing; that both were judged is what counts."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "soak"), "--seconds", "8", "--clients", "5"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=90,
        check=False,
    )
    for worker in ("gthread", "gevent"):
        assert f"{worker}: descriptors at rest: " in done.stdout, done.stdout
        verdict = [
            line for line in done.stdout.splitlines() if line in (f"{worker}: passed", f"{worker}: FAILED")
        ]
        assert len(verdict) == 1
