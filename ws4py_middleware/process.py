"""
The managers of this process: one for threads, one for gevent, each when it is first needed.

So nothing is started at import, and each worker that was forked has its own. When
the interpreter exits, every peer is sent a Close frame with 1001.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .endings import find_ending, watch
from .handover.uwsgi import call_at_exit, is_master
from .manager import WebSocketManager
from .registry import Registry, notice_fork

if TYPE_CHECKING:
    import asyncio

    from .tasks import TaskManager

__all__ = [
    "call_at_end",
    "ensure_running",
    "get_manager",
    "get_task_manager",
    "peek_manager",
    "set_task_manager",
    "shut_down_at_exit",
    "tell_end",
]

_managers: dict[bool, Registry] = {}
_task_managers: dict[asyncio.AbstractEventLoop, TaskManager] = {}
_managers_lock = threading.Lock()
_at_end: list[Callable[[], object]] = []


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
                shut_down_at_exit(manager)
            ensure_running(manager)  # it is new, or somebody has stopped it
    return manager


def get_task_manager() -> TaskManager:
    """
    Return the manager of the running asyncio loop; it is made when it is first asked for.

    Nobody closes its connections when the loop ends: ``await manager.shutdown_async()`` does. Handlers of
    those that are still there when the interpreter exits are told that they are gone.

    Raises:
        RuntimeError: There is no running loop.
    """
    import asyncio

    from .tasks import TaskManager

    notice_fork()
    loop = asyncio.get_running_loop()
    manager = _task_managers.get(loop)
    if manager is None:
        for other in [other for other in list(_task_managers) if other.is_closed()]:
            _task_managers.pop(other, None)
        manager = _task_managers[loop] = TaskManager()
        atexit.unregister(_stop_task_managers)
        atexit.register(_stop_task_managers)
        watch(manager)
    return manager


def set_task_manager(manager: TaskManager) -> None:
    """Let a manager be the one that :func:`get_task_manager` returns in its loop; whoever made it ends it."""
    _task_managers[manager.loop] = manager


def _stop_task_managers() -> None:
    for manager in list(_task_managers.values()):
        manager.stop()


def peek_manager(gevent: bool = False) -> Registry | None:
    """Return the manager of this process if it has one already."""
    notice_fork()
    return _managers.get(gevent)


def ensure_running(manager: Registry) -> None:
    """
    Start the thread of a manager that has one and is not running; it does not keep the process alive.

    Not in uWSGI's master: there is nothing to do there, and a thread must not be around when it forks.
    """
    if isinstance(manager, WebSocketManager) and not manager.is_ready and not is_master():
        with manager.lock:
            if not manager.is_ready:
                manager.daemon = True
                manager.start()


def shut_down_at_exit(manager: Registry) -> None:
    """
    Close the connections of a manager when the interpreter exits, or when its server is about to end.

    With 1012 if another process takes the place of this one, else with 1001; see :mod:`.endings`.
    """
    end = functools.partial(_shut_down, manager)
    atexit.register(end)
    call_at_exit(end)
    watch(manager)


def call_at_end(function: Callable[[], object]) -> None:
    """Call a function at the end where :mod:`atexit` may not be run: by an ASGI server's word, or uWSGI's."""
    _at_end.append(function)
    call_at_exit(function)


def tell_end() -> None:
    """Call what is to be called at the end; an ASGI server has said that this is it."""
    for function in _at_end:
        function()


def _shut_down(manager: Registry) -> None:
    if manager._pid != os.getpid():
        return  # a forked child must not speak on its parent's connections
    if not len(manager):
        manager.shutdown()
        return
    ending, limit = find_ending(manager._wait_empty)
    times = [seconds for seconds in (limit, manager.shutdown_timeout) if seconds is not None]
    manager.shutdown(min(times, default=None), *ending)


def _make_manager(gevent: bool) -> Registry:
    if gevent:
        from .greenlets import GreenletManager

        return GreenletManager()
    return WebSocketManager()


def _after_fork() -> None:
    """Let a forked child have its own manager; what it inherited is its parent's."""
    global _managers_lock
    _managers.clear()
    _task_managers.clear()
    _managers_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
