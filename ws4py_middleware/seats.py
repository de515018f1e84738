"""Seats: what a manager of an asyncio loop knows of the task of one link, beside the link itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from .steps import Name

__all__ = ["Seat"]


class Seat:
    """The task of one link, and what it has to do."""

    __slots__ = (
        "abandoned",
        "in_thread",
        "is_parked",
        "lock",
        "name",
        "readable",
        "rest",
        "turn",
        "wake",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: The task's, for turns that others make.
        self.name = Name(loop)
        self.wake = asyncio.Event()
        self.turn = True
        self.readable = False
        self.is_parked = False  # the task waits for something to do
        self.rest: Coroutine[Any, Any, None] | None = None  # of a turn that others have begun
        self.lock = threading.Lock()  # guards the next two
        self.in_thread = False  # a thread has the turn
        self.abandoned = False  # the task is no more; the thread does the rest

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task; ``None`` before it is made."""
        return self.name.task

    @task.setter
    def task(self, task: asyncio.Task[None]) -> None:
        self.name.task = task

    def take(self) -> bool:
        """Let a thread have the turn; return whether there still is one to have."""
        with self.lock:
            self.in_thread = not self.abandoned
            return self.in_thread

    def give_back(self) -> bool:
        """Let the thread give it back; return whether there is somebody to give it to."""
        with self.lock:
            self.in_thread = False
            return not self.abandoned

    def abandon(self) -> bool:
        """Leave the rest to the thread; return whether there is one."""
        with self.lock:
            self.abandoned = True
            return self.in_thread
