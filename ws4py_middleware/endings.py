"""
Endings: how this process learns that it is about to end, and whether another one takes its place.

Peers are told with 1001 that a process ends, and with 1012 that there is another one to come back to.
Nothing has to be set up for that; where the server does not say it, it is found out:

* **gunicorn**'s worker (``sync``, ``gthread``, ``gevent``, ``gevent_pywsgi``) is the object whose method is
  the handler of SIGTERM; ``asgi`` is that of the protocol behind what an application receives from, and
  uvicorn's worker the one whom its server notifies. It is no longer ``alive`` once it was sent SIGTERM, has
  served ``max_requests``, or has to be reloaded; it is asked ten times a second, so that WebSockets end while
  its last HTTP requests are served, and all within its ``graceful_timeout``. There will be another worker if
  the arbiter listens on: it closes its sockets when it ends, before it tells its workers, and keeps them on a
  reload. On Linux that is seen in ``/proc``. Where it cannot be looked at (another user's arbiter,
  ``reuse_port``), a reload is taken for one by as many new workers as there are to be.
* **Reloaders** (Werkzeug's, Django's, ``--reload`` of ASGI servers) end the process as anything else does.
  It is taken for a reload when the file of a module has been changed since.

Those who want to leave nothing to be found out, or whose application takes SIGTERM for itself, have hooks
for ``gunicorn.conf.py``, by their gunicorn's names::

    from ws4py_middleware.endings import on_reload, on_starting, post_worker_init
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from .drain import GOING_AWAY, RESTART, Ending

__all__ = [
    "SETTLE_TIME",
    "ask_ending",
    "find_ending",
    "find_worker_user",
    "is_arbiter",
    "is_ending",
    "notice_receiver",
    "on_reload",
    "on_starting",
    "post_worker_init",
    "watch",
]

logger = logging.getLogger("ws4py_middleware")

#: How often gunicorn's worker is asked whether it is about to end; seconds.
_INTERVAL = 0.1

#: An arbiter that ends closes its sockets before it tells its workers; but a service manager may tell all of
#: them at once. For so long it is looked at again; seconds.
SETTLE_TIME = 0.25

#: What is left for the exit itself, of the time that a server gives; seconds.
_MARGIN = 1.0

#: Workers that a reload has started are not older, when it ends the old ones; seconds.
_NEW = 15.0

_PROC = Path("/proc")

#: The number of reloads, in memory that the arbiter and all its workers share.
_shared: mmap.mmap | None = None

#: The worker that gunicorn has shown us, and the number of reloads before it.
_shown: tuple[Any, int] | None = None

_server: _Worker | None = None
_pid = 0
_since = time.time()


# --- hooks for gunicorn.conf.py ------------------------------------------------------------------------


def on_starting(server: object) -> None:
    """Have the arbiter tell its workers of reloads; a hook of gunicorn's."""
    global _shared
    if _shared is None:
        _shared = mmap.mmap(-1, 8)


def on_reload(server: object) -> None:
    """Tell the workers that others take their place; a hook of gunicorn's, beside :func:`on_starting`."""
    on_starting(server)
    assert _shared is not None
    _shared[:] = (_count_reloads() + 1).to_bytes(8, "big")


def post_worker_init(worker: object) -> None:
    """Know gunicorn's worker, also where the application handles SIGTERM itself; a hook of gunicorn's."""
    global _shown
    _shown = worker, _count_reloads()


def _count_reloads() -> int:
    return 0 if _shared is None else int.from_bytes(_shared[:], "big")


# --- what managers ask ---------------------------------------------------------------------------------


def watch(manager: Any) -> None:
    """
    Drain a manager as soon as the server of this process is about to end, if that can be seen.

    Args:
        manager: A :class:`~.registry.Registry`; its timers are used.
    """
    server = _find_server()
    if server is not None:
        manager.schedule(_Watch(manager, server), monotonic() + _INTERVAL)


def notice_receiver(receive: object) -> bool:
    """
    Know gunicorn's ASGI worker by what an application receives from.

    Returns:
        Whether it is news.
    """
    transport: Any = getattr(getattr(receive, "__self__", None), "transport", None)
    worker = getattr(transport.get_protocol(), "worker", None) if hasattr(transport, "get_protocol") else None
    if _shown is not None or not _is_worker(worker):
        return False
    post_worker_init(worker)
    return True


def is_ending() -> bool:
    """Tell whether the server of this process takes no more requests; cheap."""
    return _server is not None and _pid == os.getpid() and not _server.is_alive


def is_arbiter() -> bool:
    """Tell whether this process is gunicorn's arbiter, which has loaded the application and serves nobody."""
    if "gunicorn.arbiter" not in sys.modules:
        return False
    # Workers of all classes have something of their own there; the arbiter only once it has begun to work.
    return not callable(signal.getsignal(signal.SIGUSR1)) or _find_arbiter() is not None


def _find_arbiter() -> Any:
    owner = getattr(signal.getsignal(signal.SIGUSR1), "__self__", None)
    return owner if any(cls.__module__ == "gunicorn.arbiter" for cls in type(owner).__mro__) else None


def find_worker_user() -> tuple[int, int] | None:
    """
    Find out who a worker will be that the arbiter has just forked: ``--user`` and ``--group``.

    Returns:
        The numbers of the user and the group; ``None`` where it stays who it is.
    """
    cfg = getattr(_find_arbiter(), "cfg", None)
    if cfg is None or os.geteuid() != 0 or (cfg.uid, cfg.gid) == (os.geteuid(), os.getegid()):
        return None
    return cfg.uid, cfg.gid


def find_ending(wait: Callable[[float], object]) -> tuple[Ending, float | None]:
    """
    Find out, while this process ends, why it does.

    Args:
        wait: Waits for so many seconds, if it cannot be told yet.

    Returns:
        What peers are to be told, and the seconds that are left for it; ``None``: it is not known.
    """
    ending, left = ask_ending()
    if ending is None:
        wait(SETTLE_TIME)
        ending, left = ask_ending(settled=True)
    return ending or GOING_AWAY, left


def ask_ending(*, settled: bool = False) -> tuple[Ending | None, float | None]:
    """
    Do the same as :func:`find_ending`, and wait for nothing.

    Args:
        settled: Whether :data:`SETTLE_TIME` has passed since this was asked before.

    Returns:
        The same, or ``None`` where it cannot be told before that.
    """
    server = _find_server()
    if server is None:
        return (RESTART if _is_reloaded() else GOING_AWAY), None
    now = monotonic()
    server.notice(now)
    return server.explain(now, settled=settled), server.time_left(now)


class _Watch:
    """The owner of a timer that asks the server."""

    def __init__(self, manager: Any, server: _Worker) -> None:
        self._manager = manager
        self._server = server

    def on_deadline(self, now: float) -> None:
        """Ask, and come back, or begin the drain."""
        server = self._server
        ending = None
        if not server.is_alive:
            server.notice(now)
            ending = server.explain(now)
        if ending is None:
            self._manager.schedule(self, now + _INTERVAL)
        else:
            self._manager.begin_drain(*ending, timeout=server.time_left(now))

    def on_fault(self, error: Exception) -> None:
        """Log a fault of ours; the end of the process is told without."""
        logger.error("a fault while the server was watched", exc_info=error)


# --- gunicorn --------------------------------------------------------------------------------------------


def _find_server() -> _Worker | None:
    global _server, _pid
    if _pid != os.getpid():
        _pid = os.getpid()
        _server = None
    if _server is None:
        shown = None if _shown is None else _shown[0]
        worker = _find_worker() if shown is None else shown
        if worker is not None:
            _server = _Worker(worker)
    return _server


def _find_worker() -> Any:
    """Find gunicorn's worker by what it has asked of the system: to be told of SIGTERM."""
    owner = _find_terminated()
    notified = getattr(getattr(owner, "config", None), "callback_notify", None)
    for found in (owner, getattr(notified, "__self__", None)):  # uvicorn's server, in a worker of gunicorn's
        if _is_worker(found):
            return found
    return None


def _find_terminated() -> Any:
    """Return the object that hears of SIGTERM, behind what was put in front of it here."""
    handler: Any = signal.getsignal(signal.SIGTERM)
    while hasattr(handler, "previous"):
        handler = handler.previous
    return getattr(handler, "__self__", None)


def _is_worker(found: object) -> bool:
    is_gunicorns = any(cls.__module__.startswith("gunicorn.workers.") for cls in type(found).__mro__)
    return is_gunicorns and hasattr(found, "alive") and hasattr(found, "cfg")


class _Worker:
    """gunicorn's worker in this process."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._noticed_at: float | None = None
        self._reloads = _count_reloads() if _shown is None else _shown[1]
        # The arbiter closes them when it ends; this worker perhaps has already.
        fds = [sock.fileno() for sock in worker.sockets]
        self._sockets = {f"socket:[{os.fstat(fd).st_ino}]" for fd in fds if fd != -1}

    @property
    def is_alive(self) -> bool:
        """Whether it goes on."""
        return bool(self._worker.alive)

    def notice(self, now: float) -> None:
        """Remember when it was seen that it ends."""
        if self._noticed_at is None:
            self._noticed_at = now

    def time_left(self, now: float) -> float:
        """Return how long the end may take, before the arbiter kills it."""
        cfg = self._worker.cfg
        # Nobody tells the arbiter any more that it is not stuck.
        times = [float(seconds) for seconds in (cfg.graceful_timeout, cfg.timeout) if seconds]
        limit = min(times, default=30.0)
        limit = max(limit - _MARGIN, limit / 2)
        return max(0.0, limit - (0.0 if self._noticed_at is None else now - self._noticed_at))

    def explain(self, now: float, *, settled: bool = False) -> Ending | None:
        """Tell whether another one takes its place; ``None``: that cannot be told yet."""
        worker = self._worker
        if os.getppid() != worker.ppid:
            return GOING_AWAY
        if _count_reloads() != self._reloads or int(worker.nr) >= int(worker.max_requests):
            return RESTART
        listens = self._arbiter_listens()
        if listens is None:
            return RESTART if self._has_successors() else GOING_AWAY
        if not listens:
            return GOING_AWAY
        settled = settled or (self._noticed_at is not None and now - self._noticed_at >= SETTLE_TIME)
        return RESTART if settled else None

    def _arbiter_listens(self) -> bool | None:
        if self._worker.cfg.reuse_port or not self._sockets:
            return None  # each worker has sockets of its own, or it is too late to know them
        try:
            return not self._sockets.isdisjoint(_read_descriptors(self._worker.ppid))
        except OSError:
            return None  # there is no /proc, or it is somebody else's

    def _has_successors(self) -> bool:
        """Tell whether as many workers as there are to be have been started in this moment."""
        ppid = self._worker.ppid
        try:
            children = (_PROC / f"{ppid}/task/{ppid}/children").read_text().split()
            ages = [_read_age(int(pid)) for pid in children if int(pid) != os.getpid()]
        except OSError:
            return False
        own = _read_age(os.getpid())
        return sum(age < min(own, _NEW) for age in ages) >= int(self._worker.cfg.workers)


def _read_descriptors(pid: int) -> Iterator[str]:
    directory = f"{_PROC}/{pid}/fd"
    for name in os.listdir(directory):
        try:
            yield os.readlink(f"{directory}/{name}")
        except FileNotFoundError:
            continue  # closed meanwhile


def _read_age(pid: int) -> float:
    """Return since when a process runs; seconds."""
    started = int((_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


# --- reloaders ---------------------------------------------------------------------------------------------


def _is_reloaded() -> bool:
    """Tell whether a reloader is around, and has a reason to reload."""
    if not _has_reloader():
        return False
    for module in list(sys.modules.values()):
        try:
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and os.stat(path).st_mtime > _since:
                return True
        except (OSError, ImportError):
            continue  # inside an archive, or deleted; or imported only when it is asked for something
    return False


def _has_reloader() -> bool:
    if "true" in (os.environ.get("WERKZEUG_RUN_MAIN"), os.environ.get("RUN_MAIN")):
        return True
    # Those of ASGI servers hand their command line on; uvicorn's settings may be in the program instead.
    return (
        "--reload" in sys.argv or getattr(getattr(_find_terminated(), "config", None), "reload", None) is True
    )
