"""
Contexts: handlers that have something around each of their callbacks, and nothing between them.

A connection lives for hours, and must not hold for hours what a request holds for milliseconds: a
database connection, a Flask app context. So the context is made anew for each callback::

    routes = {"/chat/<room>": Route(Chat, context=app.app_context)}

``context`` is called without arguments, and returns a context manager; an asynchronous one, where it is
one, for ``async def``. It is entered for ``opened()``, ``received_message()``, ``ponged()``, ``closed()``,
``reauthorize()`` and ``unhandled_error()`` where the application has written them. A handler that is a
function is in a context while it works, and in none while it waits: ``receive()``, and so each step of an
iteration, leaves the one and returns in a new one. What is only usable inside its context is not usable
after the next ``receive()``.

Two attributes are looked at where they are there. ``may_leave`` of a context manager says whether it can be
left now; where it is false, ``receive()`` waits inside it. ``for_functions`` of ``context`` is called in its
place for functions that are not ``async``, which have a thread to themselves.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from typing import Any

__all__ = ["HOOKS", "Context", "around", "in_context", "is_async"]

#: What :class:`~ws4py_middleware.routing.Route` takes as ``context``.
Context = Callable[[], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]

#: What an application may fill in.
HOOKS = ("opened", "received_message", "ponged", "closed", "reauthorize", "unhandled_error")
_PACKAGE = __name__.partition(".")[0]


def in_context(handler: Any, context: Context) -> Any:
    """
    Make a handler of the same kind whose callbacks each run in a context of their own.

    Args:
        handler: A handler class, or a function ``f(ws, **params)``, plain or ``async``.
        context: Makes a context manager, for each callback a new one.

    Returns:
        A subclass of the class with the same name; or a function with the same signature.
    """
    key: Any = handler
    return _wrap(key, context)


# The same again for a view that asks at each request; not all of them, so that they can go again.
@functools.lru_cache(maxsize=256)
def _wrap(handler: Any, context: Context) -> Any:
    return (_wrap_class if isinstance(handler, type) else _wrap_function)(handler, context)


def _wrap_class(cls: type[Any], context: Context) -> type[Any]:
    names = ("__module__", "__qualname__", "__doc__")
    members: dict[str, Any] = {name: getattr(cls, name) for name in names}
    for name in HOOKS:
        owner = next((each for each in cls.__mro__ if name in vars(each)), None)
        # The hooks that this package brings need none.
        if owner is not None and owner.__module__.partition(".")[0] != _PACKAGE:
            members[name] = around(getattr(cls, name), context)
    return types.new_class(cls.__name__, (cls,), exec_body=lambda namespace: namespace.update(members))


def around(function: Callable[..., Any], context: Context) -> Callable[..., Any]:
    """Make a function of the same kind, each of whose calls is in a context of its own."""
    if is_async(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **options: Any) -> Any:
            async with _Asynchronous(context()):
                return await function(*args, **options)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with _check(context()):
            return function(*args, **options)

    return call


def _wrap_function(function: Callable[..., Any], context: Context) -> Callable[..., Any]:
    if is_async(function):

        @functools.wraps(function)
        async def run_async(ws: Any, **params: Any) -> Any:
            async with _HeldAsync(context) as held:
                ws.receive = held.around(ws.receive)
                return await function(ws, **params)

        return run_async

    # Those that are for callbacks may keep something for the next one; here that may be in hours.
    context = getattr(context, "for_functions", context)

    @functools.wraps(function)
    def run(ws: Any, **params: Any) -> Any:
        with _Held(context) as held:
            ws.receive = held.around(ws.receive)
            return function(ws, **params)

    return run


def is_async(target: Any) -> bool:
    """
    Tell whether something needs an asyncio loop.

    A class of WebSockets says so itself; all else is what is called with ``await``: a coroutine function, or
    an object like one.
    """
    if isinstance(target, type):
        return bool(getattr(target, "_is_async", False))
    call = getattr(type(target), "__call__", None)  # noqa: B004 - of what kind it is, is asked
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(call)


def _check(manager: Any) -> AbstractContextManager[Any]:
    if not hasattr(manager, "__enter__"):
        raise TypeError(
            f"context returned {manager!r}; it returns a context manager, as app.app_context does"
        )
    found: AbstractContextManager[Any] = manager
    return found


class _Asynchronous:
    """A context manager of either kind, for ``async with``."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager

    async def __aenter__(self) -> None:
        if hasattr(self.manager, "__aenter__"):
            await self.manager.__aenter__()
        else:
            _check(self.manager).__enter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        if hasattr(self.manager, "__aexit__"):
            suppress: bool | None = await self.manager.__aexit__(*error)
        else:
            suppress = self.manager.__exit__(*error)
        return suppress


#: Who holds a context in this thread, greenlet or task: others that receive() leave it alone.
_holder: ContextVar[object] = ContextVar("ws4py_middleware_holder", default=None)


def _is_held(manager: Any) -> bool:
    """Tell whether a context cannot be left now; one with contexts of the function's own inside it, say."""
    return not getattr(manager, "may_leave", True)


class _Held:
    """The context of a function, which is another one after each ``receive()``."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.manager: AbstractContextManager[Any] | None = None

    def __enter__(self) -> _Held:
        _holder.set(self)
        self._enter()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        _holder.set(None)
        return self._leave(*error)

    def _enter(self) -> None:
        manager = _check(self.context())
        manager.__enter__()
        self.manager = manager

    def _leave(self, *error: Any) -> bool | None:
        manager, self.manager = self.manager, None
        return None if manager is None else manager.__exit__(*error)

    def around(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(receive)
        def renewing(*args: Any, **options: Any) -> Any:
            if _holder.get() is not self or _is_held(self.manager):
                return receive(*args, **options)
            try:
                self._leave(None, None, None)
                return receive(*args, **options)
            finally:
                self._enter()

        return renewing


class _HeldAsync:
    """The same for a coroutine."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.manager: _Asynchronous | None = None

    async def __aenter__(self) -> _HeldAsync:
        _holder.set(self)
        await self._enter()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        _holder.set(None)
        return await self._leave(*error)

    async def _enter(self) -> None:
        manager = _Asynchronous(self.context())
        await manager.__aenter__()
        self.manager = manager

    async def _leave(self, *error: Any) -> bool | None:
        manager, self.manager = self.manager, None
        return None if manager is None else await manager.__aexit__(*error)

    def around(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(receive)
        async def renewing(*args: Any, **options: Any) -> Any:
            if _holder.get() is not self or self.manager is None or _is_held(self.manager.manager):
                return await receive(*args, **options)
            try:
                await self._leave(None, None, None)
                return await receive(*args, **options)
            finally:
                await self._enter()

        return renewing
