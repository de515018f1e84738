"""What is asked of each server, and one measurement of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from benchmarks.apps.common import BUSY, DEFLATE
from benchmarks.load import LoadError, cpu_us_per_message, hold, run
from benchmarks.machine import Cores
from benchmarks.measure import Memory, http_latency, median, memory, threads
from benchmarks.results import LIMIT_NAME, Sample
from benchmarks.servers import Running, Server, ServerError, running

__all__ = [
    "BROADCAST",
    "BUSY_SCENARIO",
    "CONNECT",
    "DEFLATE_SCENARIO",
    "ECHO",
    "IDLE",
    "JSON",
    "Scenario",
    "Window",
    "measure",
    "measure_blocking",
    "measure_idle",
]

HTTP_REQUESTS = 40
#: Connections whose handler sleeps a second for each message, beside those that are measured.
SLEEPERS = 10
#: How long they sleep already when the measurement begins; seconds.
SLEEPING = 1.5
#: So many messages make a measurement at least, also where each of them takes a third of a second.
FEWEST = 4


@dataclass(frozen=True)
class Scenario:
    """A load: so many connections, each with so many messages in flight, of so many bytes of text."""

    name: str
    title: str
    mode: str
    connections: int
    in_flight: int = 1
    size: int = 32
    path: str = "/echo"
    flags: tuple[str, ...] = ()  # further options of the load generator
    environ: tuple[
        tuple[str, str], ...
    ] = ()  # what the server is told; it is started for this scenario alone then

    def options(self) -> list[str]:
        """Return the load generator's options."""
        depth = "-W" if self.mode == "broadcast" else "-P"
        numbers = ["-n", str(self.connections), "-s", str(self.size), depth, str(self.in_flight)]
        return [*numbers, "-u", self.path, "-m", str(FEWEST), *self.flags]

    def suits(self, server: Server) -> bool:
        """Say whether it can be asked of `server`."""
        told = dict(self.environ)
        if (DEFLATE in told and not server.deflate) or (self.path == "/json" and not server.json):
            return server.name == LIMIT_NAME and DEFLATE not in told
        if server.variant and self.name not in {each.name for each in ECHO}:
            return False
        return server.compared and (server.python or BUSY not in told or server.name == LIMIT_NAME)


ECHO = [
    Scenario("e1", "1 connection, 32 B", "echo", 1),
    Scenario("e100", "100 connections, 32 B", "echo", 100),
    Scenario("p16", "100 connections, 16 messages in flight, 125 B", "echo", 100, 16, 125),
    Scenario("64K", "10 connections, 64 KiB", "echo", 10, 1, 64 * 1024),
    Scenario("1M", "4 connections, 1 MiB", "echo", 4, 1, 2**20),
]
BROADCAST = [
    Scenario(
        "bcast", "one 64 B message to 1,000 subscribers, by delivery", "broadcast", 1000, 1, 64, "/broadcast"
    ),
    Scenario("bcast4", "the same with 4 messages in flight", "broadcast", 1000, 4, 64, "/broadcast"),
]
JSON = Scenario(
    "json",
    "100 connections, 1 KiB of JSON, which the handler reads and writes again",
    "echo",
    100,
    1,
    1024,
    "/json",
    ("-j",),
)
DEFLATE_SCENARIO = Scenario(
    "deflate",
    "100 connections, 1 KiB of JSON text, compressed both ways",
    "echo",
    100,
    1,
    1024,
    flags=("-z",),
    environ=((DEFLATE, "1"),),
)
BUSY_SCENARIO = Scenario(
    "busy",
    "100 connections, 32 B, while a thread of the server computes in pure Python",
    "echo",
    100,
    environ=((BUSY, "1"),),
)
CONNECT = Scenario("connect", "16 at a time open a connection, say Close, and are answered", "connect", 16)
IDLE = {"idle": 3000, "idle10k": 10_000}


@dataclass(frozen=True)
class Window:
    """How long a measurement takes: seconds of warming up, then seconds that count."""

    warm: float = 0.05
    seconds: float = 0.3


Lend = Callable[[Server], AbstractContextManager[Running]]


def measure(server: Server, scenario: Scenario, window: Window, cores: Cores, lend: Lend) -> Sample:
    """Drive `server`, which `lend` lends; where it has to be told something, it is started for that."""
    options = [*scenario.options(), "-t", str(window.seconds), "-w", str(window.warm)]
    timeout = window.warm + window.seconds + 60
    told = dict(scenario.environ)
    if told:
        # On one core nobody would wait for the lock alone: whoever has it has the core, too.
        place = cores._replace(server=None) if BUSY in told else cores
        alone = replace(server, environ={**server.environ, **told})
        lent: AbstractContextManager[Running] = running(alone, scenario.connections, place)
    else:
        lent = lend(server)
    try:
        with lent as (port, pids):
            result = run(scenario.mode, port, pids, cores.load, options, timeout)
    except (ServerError, LoadError) as error:
        return Sample(scenario.name, server.name, error=str(error))
    latencies = {f"{name}_us": float(result["lat_us"][name]) for name in ("p50", "p99", "p999")}
    values = {
        "messages_per_second": float(result["msg_s"]),
        "cpu_us": cpu_us_per_message(result),
        "cpu_share": float(result["srv_cpu"]),
        **latencies,
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


def measure_idle(server: Server, name: str, connections: int, cores: Cores) -> Sample:
    """Hold `connections` silent WebSockets; what they cost, and how HTTP is answered meanwhile."""
    try:
        with running(server, connections, cores) as at:
            return Sample(name, server.name, _idle(server, at, connections, cores))
    except (ServerError, LoadError) as error:
        return Sample(name, server.name, error=str(error))


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
        "rss_kib": (during.rss - before.rss) / held.opened / 1024,
        "pss_kib": (during.pss - before.pss) / held.opened / 1024,
        "all_mib": (during.rss - before.rss) / 2**20,
        "after_kib": float(result["kb_per_conn_after_msg"]),
        "connect_cpu_us": float(result["srv_us_per_connect"]),
        "idle_percent": float(result["idle_cpu"]) * 100,
        "threads": float(count),
        "unanswered": float(result["missing"] + result["lost"]),
    }
    middle = median(latencies)
    if middle is not None:
        values |= {"http_ms": middle * 1e3, "http_max_ms": max(latencies) * 1e3}
    return values
