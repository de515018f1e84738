"""Handlers that are functions: ``def echo(ws, **params): for message in ws: ws.send(message)``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ClassVar

from .exc import ConnectionClosed
from .websocket import WebSocket

__all__ = ["FunctionHandler", "handler_class"]

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
        link.loop.spawn(self._call, f"{getattr(self.function, '__name__', 'websocket')}")

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


# Not all of them: a function that a view has made must be able to go again.
@functools.lru_cache(maxsize=256)
def _function_class(function: Callable[..., object]) -> type[FunctionHandler]:
    name = getattr(function, "__name__", "function")
    return type(name, (FunctionHandler,), {"function": staticmethod(function), "__doc__": function.__doc__})


def handler_class(handler: object) -> type[WebSocket]:
    """
    Return the class for a handler: itself, or the one that runs a function.

    Raises:
        TypeError: It is neither a subclass of :class:`WebSocket` nor a function.
    """
    if isinstance(handler, type):
        if issubclass(handler, WebSocket):
            return handler
    elif callable(handler):
        return _function_class(handler)
    raise TypeError(f"a handler is a subclass of WebSocket or a function f(ws, **params), not {handler!r}")
