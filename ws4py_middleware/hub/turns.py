"""Calls that are made one after the other, in order, while nobody waits for anybody."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Turns"]

logger = logging.getLogger("ws4py_middleware")


class Turns:
    """
    Calls that are made one after the other for each key, in the order in which they were added.

    Whoever adds the first one for a key makes the calls for it, until there are none left; who adds one
    meanwhile goes on, and that call is made by the other. So no lock is held during a call, no thread waits,
    and a call may add others.

    Args:
        lock: Guards this, and is held during :meth:`add`; never while a call is made.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        # A key is here while somebody makes the calls for it.
        self._calls: dict[str, deque[Callable[[], object]]] = {}

    def add(self, key: str, call: Callable[[], object]) -> bool:
        """Add a call; return whether the caller is the one to :meth:`run` them, after the lock."""
        calls = self._calls.get(key)
        if calls is not None:
            calls.append(call)
            return False
        self._calls[key] = deque([call])
        return True

    def run(self, key: str) -> None:
        """
        Make the calls for a key.

        An exception in one is logged, and the others are made. What is no ``Exception``, and so wants to end
        more than a call, is raised when all are made.
        """
        ending: BaseException | None = None
        calls = self._calls[key]
        while True:
            try:
                with self._lock:
                    if not calls:
                        if self._calls.get(key) is calls:
                            del self._calls[key]
                        break
                    call = calls.popleft()
                call()
            except Exception:
                logger.exception("an exception in what follows from joining or leaving the room %r", key)
            except BaseException as error:  # noqa: BLE001 - the calls of others are made nevertheless
                ending = ending or error
        if ending is not None:
            raise ending
