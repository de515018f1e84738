"""
Traces: who wants to know of each opening handshake and each end. Nobody does, unless :mod:`.tracing` is used.

An entrance has one line for it, which costs nothing worth the name where nobody wants to know::

    with trace_upgrade(environ, policy) as trace:
        ...                                     # a HandshakeError is the refusal
        trace.refuse(403)                       # so is this
        manager.attach(websocket, ...)          # this is the acceptance

What has to be called in the context of an upgrade finds its trace in the environ of the handler.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from .core.policy import Policy

__all__ = ["UNTRACED", "Trace", "accept", "end", "find_trace", "in_trace", "trace_upgrade", "watch_upgrades"]

logger = logging.getLogger("ws4py_middleware")

#: The key in the environ.
_TRACE = "ws4py_middleware.trace"

_Result = TypeVar("_Result")


class Trace:
    """One upgrade, and the connection that it becomes; this one tells nobody."""

    __slots__ = ()

    def __enter__(self) -> Trace:
        """Begin; what is called from now on is called in the context of the upgrade."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: with what the upgrade was refused by, or an error, or in order."""

    def refuse(self, status: int, reason: str = "") -> None:
        """Note that the answer is another one than 101."""

    def accept(self) -> None:
        """Note that the answer was 101, and the connection begins. Again does nothing."""

    def call(self, function: Callable[..., _Result], *args: Any) -> _Result:
        """Call a function in the context of the upgrade, in whatever thread this is."""
        return function(*args)

    def end(self, link: Any) -> None:
        """Note the end of the connection."""


#: What an upgrade has that nobody wants to know of.
UNTRACED = Trace()

_begin: Callable[[Mapping[str, Any], Policy], Trace] | None = None


def watch_upgrades(begin: Callable[[Mapping[str, Any], Policy], Trace] | None) -> None:
    """
    Have a trace made for each upgrade from now on.

    Args:
        begin: Takes the environ of the request and the policy; ``None``: nobody wants to know any more.
    """
    global _begin
    _begin = begin


def trace_upgrade(environ: dict[str, Any], policy: Policy) -> Trace:
    """
    Begin the trace of an upgrade.

    Args:
        environ: The request's; the trace is kept in it.
        policy: What applies to the connection.
    """
    if _begin is None:
        return UNTRACED
    try:
        trace = environ[_TRACE] = _begin(environ, policy)
    except Exception:
        logger.exception("an upgrade could not be traced")
        return UNTRACED
    return trace


def find_trace(websocket: Any) -> Trace | None:
    """Return the trace of the upgrade that a WebSocket has come from; ``None`` where there is none."""
    environ = getattr(websocket, "environ", None)
    return environ.get(_TRACE) if isinstance(environ, dict) else None


def accept(websocket: Any) -> None:
    """Note that the connection of a WebSocket begins."""
    trace = find_trace(websocket)
    if trace is not None:
        trace.accept()


def end(link: Any) -> None:
    """Note that a connection has ended."""
    trace = find_trace(link.handler)
    if trace is not None:
        trace.end(link)


def in_trace(websocket: Any, function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Make a function that is called in the context of the upgrade, where there is one."""
    trace = find_trace(websocket)
    return function if trace is None else functools.partial(trace.call, function)
