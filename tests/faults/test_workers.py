"""A worker that is killed, and what its clients and everybody else notice."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from tests.faults.conftest import ROOMS_MARGIN, start_rooms
from tests.faults.harness import ALL, GTHREAD, paused
from tests.faults.traffic import Traffic, ask
from tests.promises.attacker import Latency, report, upgrade
from tests.servers import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.redis]

#: As the application has it.
PRESENCE_TIMEOUT = 1.5


def left(told: list[str]) -> Counter[str]:
    """Return who has left the lobby, as it was told, and how often."""
    events = [json.loads(text) for text in told]
    return Counter(info["name"] for what, room, info, _ in events if (what, room) == ("left", "lobby"))


@pytest.mark.parametrize("kind", ALL)
def test_one_of_four_workers_is_killed_under_load(kind: str) -> None:
    """
    Those of the other three miss nothing; gunicorn starts another worker, and rooms go on with it.

    That the members of the killed one have left is told once in all, by one of the others.
    """
    with start_rooms(kind, workers=4, expected=["was sent SIGKILL"]) as (watched, _):
        with watched.recovers(ROOMS_MARGIN), Traffic(watched) as traffic:
            victim = watched.workers[1]
            watchers = [traffic.enter(worker, "watch") for worker in watched.workers if worker != victim]
            gone = [person for person in traffic.present if person.worker == victim]
            traffic.go_on(0.5)
            traffic.local.clear()
            watched.kill(victim)
            killed = time.monotonic()
            wait_for(lambda: not any(person.is_there for person in gone), 1.0, "their connections to end")
            assert len(traffic.present) == 3 * 2 + len(watchers)
            traffic.go_on(0.5)
            local = Latency(traffic.local)  # to reach a certain worker, the others are paused
            (new,) = set(watched.wait_workers()) - set(watched.before)
            for _ in range(2):
                traffic.enter(new)
            traffic.wait_heard_by_all()
            names = {person.name for person in gone}
            wait_for(lambda: all(set(left(one.told)) == names for one in watchers), what="all to be told")
            told = time.monotonic() - killed
            traffic.go_on(0.5)
            traffic.check_all()
        for one in watchers:
            assert left(one.told) == dict.fromkeys(names, 1), one.told
    report(f"faults {kind} worker killed", told=f"{told:.2f} s", local=local.text)
    assert told <= PRESENCE_TIMEOUT * 4 / 3 + 1.0
    assert local.p99 <= 0.25


def test_worker_that_hangs_is_taken_for_dead_and_comes_back() -> None:
    """Its members vanish, and are there again with it; it is not killed, and nobody hears anything twice."""
    with start_rooms(GTHREAD, workers=2) as (watched, _):
        with watched.recovers(ROOMS_MARGIN), Traffic(watched) as traffic:
            here, hung = watched.workers
            watcher = traffic.enter(here, "watch")
            names = {person.name for person in traffic.talking if person.worker == hung}
            everybody = {person.name for person in traffic.talking}
            with traffic.silence(), paused([hung]):
                wait_for(lambda: set(left(watcher.told)) == names, what="all to be told")
            traffic.wait_heard_by_all()
            traffic.check_local()
            with upgrade(watched.server, "/ws") as peer:

                def seen() -> set[str]:
                    return {info["name"] for info in ask(peer, '{"members": "lobby"}')["answer"]}

                wait_for(lambda: seen() == everybody, what="all to be seen again")
            assert left(watcher.told) == dict.fromkeys(names, 1)
