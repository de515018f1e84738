"""What a WebSocket has to do with rooms."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .default import get_hub
from .fanout import deliver
from .members import Member
from .rooms import Hub

if TYPE_CHECKING:
    from .replay import Replay

__all__ = ["InRooms"]

logger = logging.getLogger("ws4py_middleware")


class InRooms:
    """The rooms' part of a :class:`~ws4py_middleware.websocket.WebSocket`."""

    #: Set by the application, or by the first join(): the rooms are left where they were joined.
    _hub: Hub | None = None
    #: What drives its connection; ``None`` before there is one.
    _link: Any = None
    #: What has agreed on the subprotocol of :mod:`.replay`.
    _resuming: Replay | None = None

    if TYPE_CHECKING:

        @property
        def is_open(self) -> bool: ...

    deliver = deliver

    @property
    def hub(self) -> Hub:
        """The hub whose rooms this WebSocket joins; that of the process, unless another one is set before."""
        return self._hub or get_hub()

    @hub.setter
    def hub(self, hub: Hub) -> None:
        if self._hub is not None and self._hub is not hub and self._hub.rooms_of(self):
            raise RuntimeError("this WebSocket is in rooms of its hub; another one is set before it joins")
        self._hub = hub
        self._leave_at_the_end()

    def join(
        self,
        room: str,
        info: Mapping[str, Any] | None = None,
        *,
        since: str | None = None,
        envelope: bool = False,
    ) -> Member:
        """
        Join a room: what is published to it from now on comes to the peer. Waits for nothing.

        To join again does nothing, but changes the info. At the end of the connection the rooms are left
        by themselves, before :meth:`closed`.

        Args:
            room: What it is called, 1 to 200 characters.
            info: What ``hub.members()`` is to tell of this member, such as its name: what JSON has a
                notation for, at most 1 KiB.
            since: In a room with a history, the id of a message: what came after it comes first. What a
                client of ``ws4py.replay.v1`` says itself goes before this.
            envelope: Send messages as JSON objects with their ids; such a client gets them in any case.

        Returns:
            The member that it is now; its ``id`` is what others can exclude it by. When the connection has
            ended, or is about to, it does not come in. That is no error: the peer may be gone at any time.

        Raises:
            RuntimeError: It is not connected yet; :meth:`opened` is the first place to join from.
            TypeError, ValueError: The room's name, or the info, is not as said here.
            PolicyViolation: It is in ``hub.max_rooms`` rooms already, by default 1,000.
        """
        if self._link is None:
            raise RuntimeError("join() needs a connection: call it in opened(), or later")
        hub = self._hub = self.hub
        self._leave_at_the_end()
        return hub.join(self, room, info, since=since, envelope=envelope)

    def leave(self, room: str) -> None:
        """Leave a room; one that it is not in is left alone."""
        self.hub.leave(self, room)

    def _has_room(self, waker: Any) -> bool:
        """Return whether more can be sent at once; else the waker is set when it can."""
        link = self._link
        return link is None or bool(link.ask_room(waker))

    def _keep_oldest(self) -> None:
        """Let nothing be dropped that was queued: a room takes it for sent."""
        link = self._link
        if link is not None:
            link.keeps_oldest = True

    def _leave_at_the_end(self) -> None:
        """Have the rooms left at the end of the connection. Most never join one, and need not carry this."""
        link = self._link
        if link is not None and link.on_closed is None and not link.is_closed:
            link.on_closed = self._leave_rooms

    def _leave_rooms(self) -> None:
        if self._resuming is not None:
            self._resuming.end()
        hub = self._hub
        if hub is not None:
            try:
                hub.leave_all(self)
            except BaseException:  # whoever ends here has to be told so: closed() comes next
                logger.exception("an exception in a callback of a hub, when %r had left", self)
