"""
Steps: what begins at once, in the name of a task, and goes on in the task only if it has to wait.

A coroutine mostly does all it has to do in one step: a hook that sends has room, a server that is given a
message takes it. To wake up a task for each of them costs more than what it does. So whoever is in the loop
makes the first step, as the task: it is the current task meanwhile, and the context is its own, so that
timeouts, cancel scopes and context variables are the same from the first step to the last.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from asyncio import current_task
from collections.abc import Callable, Generator
from typing import Any, TypeVar

__all__ = ["DONE", "Name", "begin", "go_on"]

_Result = TypeVar("_Result")

# What asyncio's documentation has for other implementations of tasks.
_enter_task = asyncio.tasks._enter_task
_leave_task = asyncio.tasks._leave_task

#: What :func:`begin` has to say of what is done.
DONE: Any = object()


class Name:
    """
    The name of a task, in which others make steps while it waits to be woken up.

    Args:
        loop: The loop of the task.
    """

    __slots__ = ("context", "loop", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.task: asyncio.Task[None] | None = None
        #: What the steps run in, also those that the task makes itself, with :func:`go_on`.
        self.context = contextvars.copy_context()

    def call(self, function: Callable[..., _Result], *args: Any) -> _Result:
        """Call a function as the task would; in the thread of the loop, which is running."""
        loop = self.loop
        task: Any = self.task
        caller: Any = current_task(loop)
        if caller is not None:
            _leave_task(loop, caller)
        _enter_task(loop, task)
        try:
            return self.context.run(function, *args)
        finally:
            _leave_task(loop, task)
            if caller is not None:
                _enter_task(loop, caller)


def begin(iterator: Any) -> Any:
    """Make the first step of what an ``__await__`` has returned; return what it waits for, or ``DONE``."""
    try:
        return next(iterator)
    except StopIteration:
        return DONE


@types.coroutine
def go_on(
    iterator: Any,
    waited: Any,
    name: Name | None = None,
    before: Callable[[], object] | None = None,
    error: BaseException | None = None,
) -> Generator[Any, None, None]:
    """
    Wait for what a first step waits for, and make all further steps; to be awaited.

    Args:
        iterator: What an ``__await__`` has returned.
        waited: What :func:`begin` has returned for it.
        name: In whose context the steps are made; by default in the one that there is.
        before: Called each time before there is something to wait for.
        error: Raise this in it, in place of the first wait.
    """
    run: Callable[..., Any] = _call if name is None else name.context.run
    while waited is not DONE:
        if error is None:
            if before is not None:
                before()
            try:
                yield waited
            except BaseException as raised:  # noqa: BLE001 - it is passed on
                error = raised
        if error is None:
            waited = run(begin, iterator)
        else:
            thrown, error = error, None
            waited = run(_throw, iterator, thrown)


def _throw(iterator: Any, error: BaseException) -> Any:
    throw = getattr(iterator, "throw", None)
    if throw is None:
        raise error
    try:
        return throw(error)
    except StopIteration:
        return DONE


def _call(function: Callable[..., _Result], *args: Any) -> _Result:
    return function(*args)
