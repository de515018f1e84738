"""
The managers of this process: one for threads, one for gevent, each when it is first needed.

So nothing is started at import, and each worker that was forked has its own. When
the interpreter exits, every peer is sent a Close frame with 1001.
"""

from __future__ import annotations

import atexit
import os
import threading

from .handover.uwsgi import call_at_exit
from .manager import WebSocketManager
from .registry import Registry, notice_fork

__all__ = ["get_manager"]

_managers: dict[bool, Registry] = {}
_managers_lock = threading.Lock()


def get_manager(gevent: bool = False) -> Registry:
    """
    Return the manager of this process; it is made and started when it is first asked for.

    Args:
        gevent: The one that runs in greenlets, for sockets that came from gevent.
    """
    notice_fork()
    manager = _managers.get(gevent)
    if manager is None or not manager.is_ready:
        with _managers_lock:
            manager = _managers.get(gevent)
            if manager is None:
                manager = _managers[gevent] = _make_manager(gevent)
                atexit.register(manager.shutdown)
                call_at_exit(manager.shutdown)
            elif isinstance(manager, WebSocketManager) and not manager.is_ready:
                manager.start()  # somebody has stopped it
    return manager


def _make_manager(gevent: bool) -> Registry:
    if gevent:
        from .greenlets import GreenletManager

        return GreenletManager()
    manager = WebSocketManager()
    # The thread of a process's own manager must not keep the process alive.
    manager.daemon = True
    manager.start()
    return manager


def _after_fork() -> None:
    """Let a forked child have its own manager; what it inherited is its parent's."""
    global _managers_lock
    _managers.clear()
    _managers_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
