"""The hub of the process."""

from __future__ import annotations

from .rooms import Hub

__all__ = ["get_hub", "set_hub"]

_hub = Hub()


def get_hub() -> Hub:
    """Return the hub of this process: that of every WebSocket, for a view or a job that publishes."""
    return _hub


def set_hub(hub: Hub) -> None:
    """Let the process have another hub; whoever is in a room of the old one stays there."""
    global _hub
    _hub = hub
