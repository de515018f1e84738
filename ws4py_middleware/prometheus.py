"""
Prometheus: the figures of this process, or of all workers of a server, through ``prometheus_client``.

Once, where the application is made::

    from ws4py_middleware.prometheus import expose

    expose()

and whatever serves ``/metrics`` has them, too. Nothing is counted for it that is not counted anyway: in one
process, the figures are put together when they are asked for.

Several processes have ``prometheus_client``'s multiprocess mode: with ``PROMETHEUS_MULTIPROC_DIR`` in the
environment, each worker writes what it has into that directory every few seconds, and when it ends. The
counters of all workers, also of those that have ended, are added up; the gauges are those of live workers.
That a worker is not alive any more, also one that was killed, gunicorn has to tell, in ``gunicorn.conf.py``::

    from ws4py_middleware.prometheus import child_exit
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from _thread import RLock  # also under gevent's monkey-patching: nobody waits for anything while they have it
from collections.abc import Iterable
from time import monotonic
from typing import Any

from .extras import needs

with needs("prometheus_client", "prometheus", __name__):
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Metric
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.multiprocess import mark_process_dead
    from prometheus_client.registry import Collector

from .figures import ManagerStats, on_enter, process_stats

__all__ = ["WebSocketCollector", "child_exit", "expose"]

logger = logging.getLogger("ws4py_middleware")

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

#: By what :class:`~.figures.ManagerStats` calls them: the name and what it is. All of them only grow.
_COUNTERS = {
    "opened": ("websocket_connections_opened", "WebSocket connections that were opened."),
    "messages_received": ("websocket_messages_received", "Messages from peers."),
    "messages_sent": ("websocket_messages_sent", "Messages that were taken to be sent to peers."),
    "messages_dropped": ("websocket_messages_dropped", "Messages that queue_policy has dropped."),
    "bytes_received": ("websocket_received_bytes", "Bytes of frames from peers."),
    "bytes_sent": ("websocket_sent_bytes", "Bytes of frames that the network has taken."),
    "packed_received": ("websocket_compressed_received_bytes", "Bytes of compressed messages from peers."),
    "plain_received": (
        "websocket_decompressed_received_bytes",
        "What those messages were without compression.",
    ),
    "packed_sent": ("websocket_compressed_sent_bytes", "Bytes of compressed messages to peers."),
    "plain_sent": ("websocket_decompressed_sent_bytes", "What those messages were without compression."),
    "pings_answered": ("websocket_pings_answered", "Keepalive pings that peers have answered."),
    "latency_sum": ("websocket_ping_latency_seconds", "Seconds from these pings to their pongs, in all."),
}

#: The same for what goes up and down, and how live workers are put together.
_GAUGES = {
    "connections": ("websocket_connections", "WebSocket connections that are open.", "livesum"),
    "queued": ("websocket_queued_bytes", "Bytes that wait for peers.", "livesum"),
    "queued_max": ("websocket_queued_bytes_max", "Most bytes that have waited for one peer.", "livemax"),
}

_CLOSED = ("websocket_connections_closed", "WebSocket connections that have ended, by close code.")


def expose(registry: CollectorRegistry = REGISTRY, *, interval: float = 5.0) -> None:
    """
    Let ``prometheus_client`` have the figures; again does nothing.

    Args:
        registry: Where they are asked for, in a process that is alone; not used in multiprocess mode.
        interval: How often each worker writes them down in multiprocess mode; seconds.

    Raises:
        ValueError: The interval is not above 0.
    """
    global _publisher
    if interval <= 0:
        raise ValueError(f"interval is {interval:g} seconds; it has to be above 0")
    if os.environ.get(_DIRECTORY):
        if _publisher is None:
            _publisher = _Publisher(interval)
            # Before there is a manager, so that it is called when the manager has closed its connections.
            atexit.register(_publisher.publish)
            on_enter(_publisher.watch)
    elif registry not in _exposed:
        registry.register(WebSocketCollector())
        _exposed.add(registry)


def child_exit(server: Any, worker: Any) -> None:
    """Have the gauges of a worker that has ended forgotten; a hook of gunicorn's."""
    if os.environ.get(_DIRECTORY):
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # it has no types


class WebSocketCollector(Collector):
    """Reads the figures of this process when it is asked for them."""

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        stats = process_stats()
        for attribute, (name, text) in _COUNTERS.items():
            yield CounterMetricFamily(name, text, value=getattr(stats, attribute))
        for attribute, (name, text, _) in _GAUGES.items():
            yield GaugeMetricFamily(name, text, value=getattr(stats, attribute))
        closed = CounterMetricFamily(*_CLOSED, labels=["code"])
        for code, count in stats.closed.items():
            closed.add_metric([code], count)
        yield closed


class _Publisher:
    """Writes the figures of this process where the others find them."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._counters = {
            attribute: Counter(name, text, registry=None) for attribute, (name, text) in _COUNTERS.items()
        }
        self._gauges = {
            # The mode is one of a few strings, and the table's are among them.
            attribute: Gauge(name, text, registry=None, multiprocess_mode=mode)  # type: ignore[arg-type]
            for attribute, (name, text, mode) in _GAUGES.items()
        }
        self._closed = Counter(*_CLOSED, labelnames=["code"], registry=None)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock: Any = RLock()
        self._last = ManagerStats()
        self._due: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()

    def watch(self, manager: Any) -> None:
        """Come back after a while, if that is not about to happen."""
        self._notice_fork()
        now = monotonic()
        due = self._due.get(manager)
        if due is None or now > due + self.interval:  # it was stopped meanwhile, and forgot
            self.come_back(manager, now)

    def come_back(self, manager: Any, now: float) -> None:
        """Set the timer of a manager."""
        self._due[manager] = now + self.interval
        manager.schedule(_Tick(self, manager), now + self.interval)

    def publish(self) -> None:
        """Write down what has come since the last time."""
        self._notice_fork()
        with self._lock:
            stats, last = process_stats(), self._last
            for attribute, counter in self._counters.items():
                counter.inc(max(getattr(stats, attribute) - getattr(last, attribute), 0))
            for attribute, gauge in self._gauges.items():
                gauge.set(getattr(stats, attribute))
            for code, count in stats.closed.items():
                self._closed.labels(code).inc(max(count - last.closed.get(code, 0), 0))
            self._last = stats

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            self._begin()


class _Tick:
    """The owner of a timer."""

    def __init__(self, publisher: _Publisher, manager: Any) -> None:
        self._publisher = publisher
        self._manager = weakref.ref(manager)

    def on_deadline(self, now: float) -> None:
        """Publish, and come back."""
        manager = self._manager()
        if manager is not None:
            self._publisher.come_back(manager, now)
            self._publisher.publish()

    def on_fault(self, error: Exception) -> None:
        """Log that it could not be written down, such as to a disk that is full."""
        logger.error("the figures could not be published", exc_info=error)


_publisher: _Publisher | None = None
_exposed: weakref.WeakSet[CollectorRegistry] = weakref.WeakSet()
