"""
What is measured in a run, in which order, how long that takes, and where it goes on when it was interrupted.

In every round each scenario is asked of one server after the other, so that a minute in which the machine
does something else slows all of them, and the median of the rounds drops it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from benchmarks import parsers, rooms, scenarios
from benchmarks.lineup import SERVERS
from benchmarks.machine import Cores
from benchmarks.results import Record, Sample
from benchmarks.scenarios import (
    BROADCAST,
    BUSY_SCENARIO,
    CONNECT,
    DEFLATE_SCENARIO,
    ECHO,
    IDLE,
    JSON,
    Lend,
    Window,
)
from benchmarks.servers import Fleet, Server, missing

__all__ = ["MEMBERS", "SECTIONS", "Section", "Task", "carry_out", "make_tasks", "names_of", "seconds_left"]

#: Connections that a server of a fleet must have room for.
MEMBERS = max(scenario.connections for scenario in BROADCAST)
#: Seconds that it takes to start a server and to stop it.
START = 0.8
#: Where many seconds are needed however short the others are.
LONG = 3.0


@dataclass(frozen=True)
class Task:
    """One measurement: `run` does it, with what lends a server, in about `seconds`."""

    section: str
    scenario: str
    server: str
    round: int
    seconds: float
    run: Callable[[Lend], Sample]


@dataclass(frozen=True)
class Section:
    """
    Measurements that are chosen, and shown, together.

    `seconds` is what one takes beside the window. Where a number hardly varies there are `most` rounds.
    """

    name: str
    scenarios: tuple[str, ...]
    seconds: float
    most: int | None = None
    in_all: bool = True


_BY_NAME = {each.name: each for each in [*ECHO, *BROADCAST, JSON, DEFLATE_SCENARIO, BUSY_SCENARIO, CONNECT]}
SECTIONS = [
    Section("echo", tuple(each.name for each in ECHO), 0.15),
    Section("json", (JSON.name,), 0.15),
    Section("broadcast", tuple(each.name for each in BROADCAST), 0.9),
    Section("connect", (CONNECT.name,), 0.15, most=2),
    Section("deflate", (DEFLATE_SCENARIO.name,), START + 0.15),
    Section("busy", (BUSY_SCENARIO.name,), START + 0.15, most=2),
    Section("idle", tuple(IDLE), 4.5, most=1),
    Section("parser", tuple(parsers.CASES), 0.5, most=1),
    Section("blocking", ("blocking",), 12.0, most=5, in_all=False),
    Section("rooms", ("rooms",), 22.0, most=3, in_all=False),
]


def names_of(section: Section) -> list[str]:
    """Return who can be measured in a section: servers, or parsers."""
    if section.name == "parser":
        return list(parsers.PARSERS)
    if section.name == "rooms":
        return [server.name for server in rooms.SERVERS]
    return [server.name for server in SERVERS]


def make_tasks(
    sections: Sequence[Section],
    chosen: Callable[[str, str], bool],
    rounds: int,
    window: Window,
    cores: Cores,
    connections: int | None = None,
) -> list[Task]:
    """
    Return what is to be done, in order.

    Args:
        chosen: Says whether a scenario is measured on a server, by their names.
        connections: So many idle ones in place of what ``idle`` has.
    """
    idle = {**IDLE, "idle": connections or IDLE["idle"]}
    tasks = []
    for number in range(rounds):
        for section in sections:
            if section.most is not None and number >= section.most:
                continue
            for scenario in section.scenarios:
                for name in names_of(section):
                    if not chosen(scenario, name):
                        continue
                    found = _prepare(section.name, scenario, name, window, cores, idle)
                    if found is not None:
                        seconds, run = found
                        tasks.append(
                            Task(section.name, scenario, name, number, section.seconds + seconds, run)
                        )
    return tasks


def _prepare(
    section: str, scenario: str, name: str, window: Window, cores: Cores, idle: dict[str, int]
) -> tuple[float, Callable[[Lend], Sample]] | None:
    """Return the seconds beyond the section's own, and what measures; None where that makes no sense."""
    if section == "parser":
        if not parsers.available(name):
            return 0.0, lambda lend: Sample(scenario, name, error="not installed")
        return 0.0, lambda lend: parsers.measure_parser(name, scenario, 0.3)
    server = next(server for server in [*SERVERS, *rooms.SERVERS] if server.name == name)
    if not _suits(section, scenario, server):
        return None
    absent = missing(server)
    if absent:
        error = f"not installed: {', '.join(absent)}"
        return -0.3, lambda lend: Sample(scenario, name, error=error)
    long = replace(window, seconds=max(window.seconds, LONG))
    match section:
        case "idle":
            count = idle[scenario]
            return count / 1500, lambda lend: scenarios.measure_idle(server, scenario, count, cores)
        case "blocking":
            return 0.0, lambda lend: scenarios.measure_blocking(server, long, cores)
        case "rooms":
            return 0.0, lambda lend: rooms.measure_rooms(server, long, cores)
    taken = window.warm + window.seconds
    return taken, lambda lend: scenarios.measure(server, _BY_NAME[scenario], window, cores, lend)


def _suits(section: str, scenario: str, server: Server) -> bool:
    if section == "rooms":
        return server in rooms.SERVERS
    if section == "blocking":
        return server.sleeps
    if section == "idle":
        return server.compared and (server.many or scenario == "idle")
    return _BY_NAME[scenario].suits(server)


def seconds_left(tasks: Sequence[Task]) -> float:
    """Estimate how long these tasks take, starts and stops of the servers included."""
    starts = {
        (task.round, task.server)
        for task in tasks
        if task.section in ("echo", "json", "broadcast", "connect")
    }
    return sum(task.seconds for task in tasks) + START * len(starts)


def carry_out(tasks: Sequence[Task], record: Record, cores: Cores) -> Iterator[tuple[Sample, Sequence[Task]]]:
    """Measure what the record does not have yet; yield each sample with the tasks that are left after it."""
    left = [task for task in tasks if not record.has(task.scenario, task.server, task.round)]
    done = 0
    for number, round_of_tasks in groupby(list(left), key=lambda task: task.round):
        with Fleet(MEMBERS, cores) as fleet:
            for task in round_of_tasks:
                began = time.monotonic()
                sample = replace(task.run(fleet.at), round=number, took=round(time.monotonic() - began, 2))
                record.add(sample)
                done += 1
                yield sample, left[done:]
