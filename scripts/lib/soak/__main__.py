"""Soak a server, or several side by side; ``scripts/soak`` is the entrance."""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from scripts.lib.soak.judging import Rest, Round, judge
from scripts.lib.soak.traffic import Totals, serve_orders
from scripts.lib.soak.watching import LogWatch, rest, watch_round
from tests.promises.attacker import allow_many_descriptors, warm_up
from tests.promises.conftest import ONE_ARENA
from tests.servers import ROOT, Server, start

APP = "tests.promises.app:app"
WORKERS = ("gthread", "gevent", "sync")

#: The part of a run that is not judged, and how long it is at most; P29's is ten minutes of an hour.
_WARM_UP, _LONGEST_WARM_UP = 0.25, 600.0
#: The length of a round; seconds. A short run has so many at least.
_ROUND, _ROUNDS = 60.0, 6


def soak(worker: str, seconds: float, clients: int) -> bool:
    """Soak one server; return whether all was well."""

    def say(text: str) -> None:
        print(f"{worker}: {text}", flush=True)

    with start(f"gunicorn-{worker}", APP, env=ONE_ARENA) as server:
        warm_up(server)
        ours, theirs = multiprocessing.Pipe()
        crowd = multiprocessing.Process(target=serve_orders, args=(server, clients, theirs))
        crowd.start()
        log = LogWatch(server.log_path)
        try:
            rests, rounds, wrong = run_rounds(server, seconds, ours, say=say, log=log)
        finally:
            ours.send(False)
            crowd.join(30)
            crowd.kill()
        log.read()
    seen, unwell = judge(rests, rounds)
    wrong += unwell + log.wrong
    for text in seen:
        say(text)
    for text in wrong:
        say(f"WRONG: {text}")
    say("FAILED" if wrong else "passed")
    return not wrong


def run_rounds(
    server: Server, seconds: float, orders: Connection, *, say: Callable[[str], None], log: LogWatch
) -> tuple[list[Rest], list[Round], list[str]]:
    """Run the warm-up and the rounds; return what was seen from its end on, and what clients complain of."""
    began = time.monotonic()
    warm = min(seconds * _WARM_UP, _LONGEST_WARM_UP)
    count = max(_ROUNDS, round((seconds - warm) / _ROUND))
    length = (seconds - warm) / count
    rests: list[Rest] = []
    rounds: list[Round] = []
    wrong: list[str] = []
    for number in range(count + 1):
        until = began + warm + number * length
        orders.send(True)
        watched = watch_round(server, until)
        orders.send(False)
        totals: Totals = orders.recv()
        after = rest(server, began)
        rests.append(after)
        if number:
            rounds.append(watched._replace(lives=totals.lives, messages=totals.messages))
        log.read()
        wrong += [f"{times} times a client saw: {error}" for error, times in totals.errors.items()]
        say(
            f"{after.when:5.0f} s {'warm-up' if not number else f'round {number} of {count}'}: "
            f"{totals.lives} clients, {totals.messages} messages, {totals.hostile} hostile; "
            f"p99 {watched.p99 * 1e3:.1f} ms; at rest {after.memory / 2**20:.2f} MiB, "
            f"{after.blocks} blocks, "
            f"{after.fds} descriptors, {after.threads} threads"
        )
    return rests, rounds, wrong


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--worker", choices=WORKERS, action="append")
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args(argv)
    workers = options.worker or ["gthread", "gevent"]
    if len(workers) == 1:
        allow_many_descriptors()
        return 0 if soak(workers[0], options.seconds, options.clients) else 1
    # Each in a process of its own, with one for its clients: nobody waits for another's interpreter.
    command = [sys.executable, "-m", "scripts.lib.soak"]
    more = ["--seconds", str(options.seconds), "--clients", str(options.clients)]
    processes = [
        subprocess.Popen([*command, "--worker", worker, *more], cwd=Path(ROOT)) for worker in workers
    ]
    return max(process.wait() for process in processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
