"""The link of a connection that is traced: its callbacks run in the context of its upgrade."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core.machine import Machine
from .link import Handler, Link
from .loops import Loop, TransportLike
from .traces import UNTRACED, find_trace

__all__ = ["TracedLink", "link_class"]


def link_class(websocket: Any) -> type[Link]:
    """Return the class of the link that a WebSocket needs."""
    return Link if find_trace(websocket) is None else TracedLink


class TracedLink(Link):
    """One connection in the hands of a loop; see :class:`~.link.Link`."""

    __slots__ = ("_trace",)

    def __init__(self, handler: Handler, transport: TransportLike, conn: Machine, loop: Loop) -> None:
        super().__init__(handler, transport, conn, loop)
        # Beside the handler, of whom the link lets go at the end.
        self._trace = find_trace(handler) or UNTRACED

    def _dispatch(self, began: float) -> None:
        self._trace.call(super()._dispatch, began)

    def _callback(self, function: Callable[..., object], *args: Any) -> None:
        self._trace.call(super()._callback, function, *args)
