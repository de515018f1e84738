"""What a WebSocket has to do with rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import Hub, default_hub

if TYPE_CHECKING:
    from ..core.prepared import PreparedMessage

__all__ = ["InRooms"]


class InRooms:
    """The rooms' part of a :class:`~ws4py_middleware.websocket.WebSocket`."""

    _hub: Hub | None = None
    #: What drives its connection; ``None`` before there is one.
    _link: object | None = None

    if TYPE_CHECKING:

        @property
        def is_open(self) -> bool: ...
        def deliver(self, message: PreparedMessage) -> bool: ...

    @property
    def hub(self) -> Hub:
        """The hub whose rooms this WebSocket joins; by default that of the process."""
        return self._hub or default_hub()

    @hub.setter
    def hub(self, hub: Hub) -> None:
        self._hub = hub

    def join(self, room: str) -> None:
        """
        Join a room; its members get what is published to it.

        Raises:
            RuntimeError: It is not connected yet; :meth:`opened` is the first place to join from.
        """
        if self._link is None:
            raise RuntimeError("join() needs a connection: call it in opened(), or later")
        self.hub.join(self, room)

    def leave(self, room: str) -> None:
        """Leave a room."""
        self.hub.leave(self, room)

    def _leave_rooms(self) -> None:
        self.hub.leave_all(self)
