"""
Steps: what begins at once, in the name of a task, and goes on in the task only if it has to wait.

A coroutine mostly does all it has to do in one step: a hook that sends has room, a server that is given a
message takes it. To wake up a task for each of them costs more than what it does. So whoever is in the loop
makes the first step, as the task: it is the current task meanwhile, and the context is its own, so that
timeouts, cancel scopes and context variables are the same from the first step to the last.

``steps.pyx`` has the same, and more quickly, for the compiled build.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .core.events import MessageReceived

__all__ = ["DONE", "Name", "Taker", "begin", "go_on", "iterate"]

_Result = TypeVar("_Result")

_tasks: Any = asyncio.tasks  # what it has for tasks, typeshed does not know

#: What :func:`begin` has to say of what is done.
DONE: Any = object()


class Taker:
    """Who may take a message at once, in the name of a task; a class, which the compiled build calls in C."""

    __slots__ = ()

    def take(self, message: MessageReceived, now: float) -> bool:
        """Take a message, if nothing is against it; return whether it has."""
        raise NotImplementedError

    def step(self, message: MessageReceived, now: float) -> Any:
        """Do what is to be done in the name of the task; see :meth:`Name.step`."""
        raise NotImplementedError


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
        caller = _swap_current_task(self.loop, self.task)
        try:
            return self.context.run(function, *args)
        finally:
            _swap_current_task(self.loop, caller)

    def begin(self, iterator: Any) -> Any:
        """Make the first step of something as the task would; see :func:`begin`."""
        return self.call(begin, iterator)

    def step(self, taker: Taker, message: MessageReceived, now: float) -> Any:
        """Call :meth:`Taker.step` as the task would."""
        return self.call(taker.step, message, now)


def _swap_in_table(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
    """Say which task a loop runs; return the one before. Before Python 3.12 asyncio has nothing for that."""
    running = _tasks._current_tasks
    caller = running.get(loop)
    if task is None:
        running.pop(loop, None)
    else:
        running[loop] = task
    return caller


_swap_current_task: Callable[[asyncio.AbstractEventLoop, Any], Any] = getattr(
    _tasks, "_swap_current_task", _swap_in_table
)


def begin(iterator: Any) -> Any:
    """Make the first step of what :func:`iterate` has returned; return what it waits for, or ``DONE``."""
    try:
        return next(iterator)
    except StopIteration:
        return DONE


def iterate(awaitable: Any) -> Any:
    """Return what makes the steps of an awaitable; see :func:`begin`."""
    return awaitable if type(awaitable) is types.GeneratorType else awaitable.__await__()


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
        iterator: What :func:`iterate` has returned.
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
