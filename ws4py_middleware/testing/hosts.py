"""What stands behind a test's client: an application in memory, or a server that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..core.handshake import Request
from .clocks import Clock
from .responses import Response
from .wires import Wire

__all__ = ["Host"]


class Host(Protocol):
    """Whom requests go to."""

    @property
    def clock(self) -> Clock:
        """What passes its time."""

    def open(self, request: Request, extras: Mapping[str, Any]) -> Wire | Response:
        """
        Bring an opening handshake.

        Args:
            extras: What a server would add to the environ, or the scope, of this kind of application.

        Returns:
            The connection, on which the 101 comes; or the answer in its place.
        """

    def ask(self, request: Request, body: bytes, extras: Mapping[str, Any]) -> Response:
        """Bring any other request."""

    def shutdown(self) -> None:
        """Let the process end, as a deploy does: all connections are closed with 1001, new ones refused."""

    def close(self) -> None:
        """End what is still open. Again does nothing."""
