"""What is asked of each server, and one measurement of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.load import LoadError, cpu_us_per_message, hold, run
from benchmarks.machine import Cores
from benchmarks.measure import Memory, http_latency, median, memory, threads
from benchmarks.servers import Running, Server, ServerError, running

__all__ = [
    "BROADCAST",
    "ECHO",
    "Sample",
    "Scenario",
    "Window",
    "measure",
    "measure_blocking",
    "measure_idle",
    "rounds",
]

HTTP_REQUESTS = 40
#: Connections whose handler sleeps a second for each message, beside those that are measured.
SLEEPERS = 10
#: How long they sleep already when the measurement begins; seconds.
SLEEPING = 1.5


@dataclass(frozen=True)
class Scenario:
    """A load: so many connections, each with so many messages in flight, of so many bytes of text."""

    name: str
    title: str
    mode: str
    connections: int
    in_flight: int
    size: int

    def options(self) -> list[str]:
        """Return the load generator's options."""
        options = ["-n", str(self.connections), "-s", str(self.size)]
        if self.mode == "broadcast":
            return [*options, "-u", "/broadcast", "-W", str(self.in_flight)]
        return [*options, "-P", str(self.in_flight)]


ECHO = [
    Scenario("e1", "1 connection, 32 B", "echo", 1, 1, 32),
    Scenario("e100", "100 connections, 32 B", "echo", 100, 1, 32),
    Scenario("p16", "100 connections, 16 messages in flight, 125 B", "echo", 100, 16, 125),
    Scenario("64K", "10 connections, 64 KiB", "echo", 10, 1, 64 * 1024),
    Scenario("1M", "4 connections, 1 MiB", "echo", 4, 1, 2**20),
]
BROADCAST = [
    Scenario("bcast", "one 32 B message to 1,000 subscribers, by delivery", "broadcast", 1000, 1, 32),
    Scenario("bcast4", "the same with 4 messages in flight", "broadcast", 1000, 4, 32),
]


@dataclass(frozen=True)
class Window:
    """How long a measurement takes: seconds of warming up, then seconds that count."""

    warm: float = 0.5
    seconds: float = 3.0


@dataclass(frozen=True)
class Sample:
    """What one run gave: numbers by name, or why there are none."""

    scenario: str
    server: str
    values: dict[str, float] = field(default_factory=dict)
    error: str | None = None


def measure(server: Server, scenario: Scenario, window: Window, cores: Cores) -> Sample:
    """Start `server`, drive it, stop it."""
    options = [*scenario.options(), "-t", str(window.seconds), "-w", str(window.warm)]
    timeout = window.warm + window.seconds + 90
    try:
        with running(server, scenario.connections, cores) as (port, pids):
            result = run(scenario.mode, port, pids, cores.load, options, timeout)
    except (ServerError, LoadError) as error:
        return Sample(scenario.name, server.name, error=str(error))
    values = {
        "messages_per_second": float(result["msg_s"]),
        "cpu_us": cpu_us_per_message(result),
        "cpu_share": float(result["srv_cpu"]),
        "p50_us": float(result["lat_us"]["p50"]),
        "p99_us": float(result["lat_us"]["p99"]),
        "verified": float(result["verified"]),
        "steal": float(result["steal"]),
    }
    return Sample(scenario.name, server.name, values)


def measure_blocking(server: Server, window: Window, cores: Cores) -> Sample:
    """Echo on 100 connections, first alone, then beside :data:`SLEEPERS` whose handler blocks."""
    load = ["-n", "100", "-s", "32", "-t", str(window.seconds), "-w", str(window.warm)]
    lasting = window.warm + window.seconds + 2 * SLEEPING
    sleeping = ["-n", str(SLEEPERS), "-s", "32", "-u", "/sleep", "-t", str(lasting), "-w", "0"]
    timeout = lasting + 90
    try:
        with running(server, 200, cores) as (port, pids), ThreadPoolExecutor(1) as pool:
            quiet = run("echo", port, pids, cores.load, load, timeout)
            sleepers = pool.submit(run, "echo", port, pids, cores.load, sleeping, timeout)
            time.sleep(SLEEPING)
            beside = run("echo", port, pids, cores.load, load, timeout)
            slept = sleepers.result()
    except (ServerError, LoadError) as error:
        return Sample("blocking", server.name, error=str(error))
    values = {
        "quiet_p50_us": float(quiet["lat_us"]["p50"]),
        "quiet_p99_us": float(quiet["lat_us"]["p99"]),
        "p50_us": float(beside["lat_us"]["p50"]),
        "p99_us": float(beside["lat_us"]["p99"]),
        "max_us": float(beside["lat_us"]["max"]),
        "quiet_cpu_us": cpu_us_per_message(quiet),
        "cpu_us": cpu_us_per_message(beside),
        "slept": float(slept["msg_s"]),
    }
    values["factor"] = values["p99_us"] / values["quiet_p99_us"]
    return Sample("blocking", server.name, values)


def measure_idle(server: Server, connections: int, cores: Cores) -> Sample:
    """Hold `connections` silent WebSockets; what they cost, and how HTTP is answered meanwhile."""
    try:
        with running(server, connections, cores) as at:
            return Sample("idle", server.name, _idle(server, at, connections, cores))
    except (ServerError, LoadError) as error:
        return Sample("idle", server.name, error=str(error))


def _idle(server: Server, at: Running, connections: int, cores: Cores) -> dict[str, float]:
    # What the first request and the first connections load once is not what each connection costs.
    if server.http:
        http_latency(at.port, 4)
    run("echo", at.port, at.pids, cores.load, ["-n", "16", "-w", "0", "-t", "0.2"], timeout=30)
    before = memory(at.pids)
    with hold(at.port, at.pids, cores.load, connections, timeout=180) as held:
        during: Memory = memory(at.pids)
        count = threads(at.pids)
        latencies = http_latency(at.port, HTTP_REQUESTS) if server.http else []
        result = held.release(timeout=90)
    values = {
        "opened": float(held.opened),
        "rss_per_connection": (during.rss - before.rss) / held.opened,
        "pss_per_connection": (during.pss - before.pss) / held.opened,
        "after_message": float(result["kb_per_conn_after_msg"]) * 1024,
        "connect_cpu_us": float(result["srv_us_per_connect"]),
        "idle_cpu": float(result["idle_cpu"]),
        "threads": float(count),
        "unanswered": float(result["missing"] + result["lost"]),
    }
    middle = median(latencies)
    if middle is not None:
        values |= {"http_ms": middle * 1e3, "http_max_ms": max(latencies) * 1e3}
    return values


def rounds(
    servers: list[Server], names: Iterable[str], count: int, once: Callable[[Server, str], Sample]
) -> Iterator[Sample]:
    """
    Measure everything `count` times, interleaved: each server once before any comes again.

    So a machine that is busier for a minute slows all of them, and the median of each drops that minute.
    """
    names = list(names)
    for _ in range(count):
        for name in names:
            for server in servers:
                yield once(server, name)
