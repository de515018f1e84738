"""
Figures: what has passed on one connection, in one manager, in this process; and one log line at each end.

The numbers themselves are counted where the bytes pass, in :mod:`.core`; here they are put together, when
somebody asks. The line goes to the logger ``ws4py_middleware.access`` at the level ``INFO``::

    closed handler=Chat path="/chat/a" client="127.0.0.1" side=server code=1000 reason="" duration=2.1 ...

and the same values are in the record's ``websocket``, a dictionary, for those who log JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

from . import traces
from .admission import get_address
from .core.counts import Counts
from .core.types import Side, State

__all__ = [
    "ConnectionStats",
    "ManagerStats",
    "Totals",
    "conclude",
    "disown",
    "get_managers",
    "get_path",
    "inspect",
    "on_enter",
    "process_stats",
]

logger = logging.getLogger("ws4py_middleware")
access_logger = logging.getLogger("ws4py_middleware.access")

#: What is computed from other figures, and told beside them.
_COMPUTED = ("latency_avg", "compression_received", "compression_sent")

#: What the line says, in this order; without what is not known.
_LOGGED = (
    "handler",
    "path",
    "client",
    "side",
    "code",
    "reason",
    "duration",
    "messages_received",
    "messages_sent",
    "messages_dropped",
    "bytes_received",
    "bytes_sent",
    "queued_max",
    "latency_min",
    "latency_avg",
    "latency_max",
    "compression_received",
    "compression_sent",
)


class _Stats(Counts):
    """Counts that can be written down."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, and what is computed from it, as JSON can have it."""
        return {**asdict(self), **{name: getattr(self, name) for name in _COMPUTED}}


@dataclass(slots=True)
class ConnectionStats(_Stats):
    """The figures of one connection at one moment, beside those of :class:`~.core.counts.Counts`."""

    #: The name of the handler's class, or of the function; the path without its query; the client's address.
    handler: str = ""
    path: str = ""
    client: str = ""
    #: This end: ``"server"`` or ``"client"``; and ``"new"``, ``"open"``, ``"closing"`` or ``"closed"``.
    side: str = "server"
    state: str = "new"
    #: Bytes that wait for the network.
    queued: int = 0
    #: Seconds that the last keepalive ping took; ``None`` before there is one.
    latency: float | None = None
    #: Seconds since the opening handshake; after the end, how long it was.
    age: float = 0.0
    #: What ``closed()`` was told; ``None`` before.
    close_code: int | None = None
    close_reason: str | None = None


@dataclass(slots=True)
class ManagerStats(_Stats):
    """The figures of a manager, those of connections that have ended included."""

    #: Connections that are there now, and all there ever were.
    connections: int = 0
    opened: int = 0
    #: By close code, how many have ended; what applications define is ``"3xxx"`` and ``"4xxx"``.
    closed: dict[str, int] = field(default_factory=dict)
    #: Bytes that wait for the network, of all connections together; ``queued_max`` is the most of one.
    queued: int = 0
    #: Seconds since the opening handshake of the oldest that is there; ``None`` without one.
    oldest: float | None = None

    def merge(self, other: ManagerStats) -> None:
        """Add those of another manager, or of another process."""
        self.add(other)
        self.connections += other.connections
        self.opened += other.opened
        self.queued += other.queued
        for code, count in other.closed.items():
            self.closed[code] = self.closed.get(code, 0) + count
        if other.oldest is not None:
            self.oldest = max(other.oldest, self.oldest or 0.0)


def inspect(websocket: Any, link: Any) -> ConnectionStats:
    """Return the figures of a WebSocket, of what drives it; ``None`` when nothing does yet."""
    stats = ConnectionStats(handler=type(websocket).__name__, path=_find_path(websocket))
    if link is None:
        return stats
    conn = link.conn
    with link._lock:
        stats.add(conn.count())
        stats.queued = conn.queued
    stats.side = conn.side.name.lower()
    stats.state = conn.state.name.lower()
    stats.latency = conn.latency
    stats.age = (monotonic() if link.ended_at is None else link.ended_at) - conn.opened_at
    if conn.side is Side.SERVER:
        stats.client = _find_client(websocket, conn.policy)
    if link.is_closed:
        stats.close_code, stats.close_reason = conn.close_code, conn.close_reason
    return stats


def conclude(link: Any) -> None:
    """Note the end of a connection, and log it if anybody wants to know."""
    link.ended_at = monotonic()
    traces.end(link)
    if not access_logger.isEnabledFor(logging.INFO):
        return
    try:
        stats = inspect(link.handler, link).as_dict()
        stats["code"], stats["reason"] = stats.pop("close_code"), stats.pop("close_reason")
        stats["duration"] = round(stats.pop("age"), 6)
        del stats["state"], stats["queued"], stats["latency"]
        known = [(name, stats[name]) for name in _LOGGED if stats[name] is not None]
        line = "closed " + " ".join(f"{name}={_show(name, value)}" for name, value in known)
        access_logger.info("%s", line, extra={"websocket": stats})
    except Exception:  # whoever ends here has to be told so: closed() comes next
        logger.exception("the end of %r could not be logged", link.handler)


class Totals:
    """What has passed in one manager: it keeps the figures of connections that it has no more."""

    __slots__ = ("_closed", "_counts", "_opened")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin with nothing."""
        self._counts = Counts()
        self._opened = 0
        self._closed: Counter[str] = Counter()

    @classmethod
    def of(cls, manager: Any) -> Totals:
        """Return those of a new manager; when it goes, they stay with the process."""
        totals = cls()
        _managers.add(manager)
        weakref.finalize(manager, _retired.merge, totals).atexit = False
        return totals

    def merge(self, other: Totals) -> None:
        """Add those of a manager that is no more."""
        self._counts.add(other._counts)
        self._opened += other._opened
        self._closed.update(other._closed)

    def enter(self, manager: Any, link: Any) -> None:
        """Count a connection that a manager is about to put into its books."""
        former = manager._links.get(link.fd)
        if link is not former:
            if former is not None:
                self.leave(former)
            self._opened += 1
            for function in _on_enter:
                function(manager)

    def leave(self, link: Any) -> None:
        """Keep the figures of a connection that goes; nothing of it is counted afterwards."""
        conn = link.conn
        self._counts.add(conn.count())
        if conn.state is State.CLOSED:
            self._closed[_group(conn.close_code)] += 1

    def sum_up(self, lock: Any, links: dict[int, Any]) -> ManagerStats:
        """
        Return all of it.

        Args:
            lock: What guards this, and the books.
            links: The books.
        """
        stats = ManagerStats()
        with lock:
            stats.add(self._counts)
            stats.opened, stats.closed = self._opened, dict(self._closed)
            present = list(links.values())
        # Its own lock is asked for after the books': who ends holds that, and asks for the books'.
        opened = []
        for link in present:
            with link._lock:
                stats.add(link.conn.count())
                stats.queued += link.conn.queued
            opened.append(link.conn.opened_at)
        stats.connections = len(present)
        stats.oldest = monotonic() - min(opened) if opened else None
        return stats


#: The managers of this process, and what is left of those that were.
_managers: weakref.WeakSet[Any] = weakref.WeakSet()
_retired = Totals()

_on_enter: list[Callable[[Any], object]] = []


def process_stats() -> ManagerStats:
    """Return the figures of all managers of this process together, those that are no more included."""
    managers = get_managers()  # first: one that goes in between would be counted in neither place
    whole = _retired.sum_up(contextlib.nullcontext(), {})
    for manager in managers:
        whole.merge(manager.stats())
    return whole


def get_managers() -> list[Any]:
    """Return the managers of this process."""
    return list(_managers)


def on_enter(function: Callable[[Any], object]) -> None:
    """Have a function called with its manager for each connection that comes; it waits for nothing."""
    _on_enter.append(function)


def disown() -> None:
    """Begin anew, in a forked child: what has passed was its parent's."""
    _retired.clear()


def _group(code: int) -> str:
    """
    Return the label of a close code; peers could make 2,000 of them.

    >>> _group(1001), _group(4711)
    ('1001', '4xxx')
    """
    return str(code) if code < 3000 else f"{code // 1000}xxx"


def get_path(environ: Mapping[str, Any]) -> str:
    """Return the path of a request as people write it, without its query."""
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


def _find_path(websocket: Any) -> str:
    environ = getattr(websocket, "environ", None)
    if environ:
        return get_path(environ)
    # A query may have what is nobody's business.
    return str(getattr(websocket, "resource", "")).partition("?")[0]


def _find_client(websocket: Any, policy: Any) -> str:
    address = get_address(getattr(websocket, "environ", {}), policy)
    if address:
        return address
    try:
        peer = websocket.peer_address
    except (OSError, AttributeError):  # it is gone, or was no socket
        return ""
    return str(peer[0] if isinstance(peer, tuple) else peer or "")


def _show(name: str, value: Any) -> str:
    """Write down a value so that no peer can make a second line, or another field, of it."""
    if isinstance(value, float):
        return f"{value:.6g}" if name != "duration" else f"{value:.3f}"
    if isinstance(value, str) and not (name == "handler" or name == "side"):
        return json.dumps(value)
    return str(value)
