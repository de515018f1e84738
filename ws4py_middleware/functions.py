"""
Handlers that are functions: ``def echo(ws, **params): for message in ws: ws.send(message)``.

In an asyncio loop also ``async def echo(ws, **params): async for message in ws: await ws.send(message)``.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from .async_websocket import WebSocket as AsyncWebSocket
from .contexts import HOOKS, is_async
from .exc import ConnectionClosed
from .traces import in_trace
from .websocket import WebSocket

__all__ = ["AsyncFunctionHandler", "FunctionHandler", "check_sync", "handler_class"]

logger = logging.getLogger("ws4py_middleware")


class FunctionHandler(WebSocket):
    """
    A handler that is a function: ``def echo(ws, **params): for message in ws: ws.send(message)``.

    It runs in a thread, or greenlet, of its own. The connection is closed with
    1000 when it returns, and with 1011 when it raises.
    """

    #: The function.
    function: ClassVar[Callable[..., object]]

    def opened(self) -> None:
        """Start the function."""
        link = self._ensure_link()
        # What comes while the thread begins, or before it asks, is not lost.
        link.expect_receive()
        link.loop.spawn(in_trace(self, self._call), f"{getattr(self.function, '__name__', 'websocket')}")

    def _call(self) -> None:
        link = self._ensure_link()
        try:
            type(self).function(self, **self.params)
        except ConnectionClosed:
            # The usual end of a function that sends to a peer that has left.
            self.close()
        except BaseException:
            # Not even sys.exit() goes further: gevent would end the whole process with it.
            logger.exception("%r raised an exception; its connection is closed", self.function)
            link.fail(1011, "internal error")
        else:
            self.close()


class AsyncFunctionHandler(AsyncWebSocket):
    """
    A handler that is an ``async def`` function; it runs in a task of its own.

    The connection is closed with 1000 when it returns, and with 1011 when it raises.
    """

    #: The function.
    function: ClassVar[Callable[..., Coroutine[Any, Any, object]]]

    def opened(self) -> None:
        """Start the function."""
        link = self._task_link()
        # What comes before it asks is not lost.
        link.expect_receive()
        link.loop.spawn_task(self._call(), f"{getattr(self.function, '__name__', 'websocket')}")

    async def _call(self) -> None:
        try:
            await type(self).function(self, **self.params)
        except ConnectionClosed:
            # The usual end of a function that sends to a peer that has left.
            self.close()
        except asyncio.CancelledError:
            self.close(1001, "Server is shutting down")
            raise
        except BaseException as error:
            logger.exception("%r raised an exception; its connection is closed", self.function)
            self._task_link().fail(1011, "internal error")
            if isinstance(error, KeyboardInterrupt):
                raise
        else:
            self.close()


# Not all of them: a function that a view has made must be able to go again.
@functools.lru_cache(maxsize=256)
def _function_class(function: Callable[..., object]) -> type[WebSocket]:
    name = getattr(function, "__name__", "function")
    base = AsyncFunctionHandler if is_async(function) else FunctionHandler
    return type(name, (base,), {"function": staticmethod(function), "__doc__": function.__doc__})


def check_sync(handler: type[WebSocket]) -> None:
    """
    Check that a handler needs no asyncio loop.

    Raises:
        TypeError: It does.
    """
    if is_async(handler):
        raise TypeError(
            f"the handler {handler.__name__} is async, and a WSGI server has no asyncio loop to run it in; "
            "use WebSocketASGI and an ASGI server, or write it without async"
        )


def _check_hooks(handler: type[WebSocket]) -> None:
    """Check that nobody writes a hook that nobody would await."""
    for name in () if issubclass(handler, AsyncWebSocket) else HOOKS:
        if inspect.iscoroutinefunction(getattr(handler, name)):
            raise TypeError(
                f"{handler.__name__}.{name} is async def, which needs an async WebSocket: "
                f"class {handler.__name__}(AsyncWebSocket)"
            )


def handler_class(handler: object) -> type[WebSocket]:
    """
    Return the class for a handler: itself, or the one that runs a function.

    Raises:
        TypeError: It is neither a subclass of :class:`WebSocket` nor a function; or its hooks are
            ``async``, and it is no async WebSocket.
    """
    if isinstance(handler, type):
        if issubclass(handler, WebSocket):
            _check_hooks(handler)
            return handler
    elif callable(handler):
        return _function_class(handler)
    raise TypeError(f"a handler is a subclass of WebSocket or a function f(ws, **params), not {handler!r}")
