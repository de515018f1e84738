"""
The backplane: what carries rooms from one process to the others.

A hub without one has the rooms of its own process. With one, what is published goes to the local
members first, at once and whatever the backplane does, and then to :meth:`Backplane.publish`; what others
publish comes in through the ``deliver`` that :meth:`Backplane.start` was given.

The hub calls a backplane from any thread, greenlet or task, and never with a lock held. For one room,
``subscribe``, ``enter``, ``exit`` and ``unsubscribe`` are called one after the other, in the order in which
members came and went. All but :meth:`Backplane.publish` and :meth:`Backplane.members` are called where
somebody joins or leaves, so they may not wait for the network. Nothing that they raise reaches a connection:
it is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Backplane", "Envelope"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message, on its way to the members of a room."""

    room: str
    #: Text is UTF-8; whoever made the envelope has checked it.
    payload: bytes
    is_text: bool
    #: The ids of members who do not get it.
    exclude: tuple[str, ...] = ()
    #: Where it stands in the room's history; ``None`` when there is none.
    position: str | None = None
    #: What it is known by as long as it has no position there; ``None`` in a room without a history.
    key: str | None = None
    #: Whether members of the process that has published it had it before it was sent.
    is_late: bool = False


class Backplane(Protocol):
    """
    What a :class:`~.Hub` asks of whatever connects it with those of other processes.

    Nothing is connected, and no thread started, before :meth:`start`. It is called before anything else, once
    in each process: a forked child calls it again, on an object whose connections are the parent's.

    One that keeps what was published to rooms is a :class:`~.history.KeepingBackplane`, too.
    """

    def echoes(self, room: str) -> bool:
        """
        Return whether messages of this process come back through ``deliver``.

        Then the hub delivers none by itself. A room with a history wants that, since a message has no
        position in it before. When the other side is away, such a backplane calls ``deliver`` at once.
        """

    def start(
        self,
        deliver: Callable[[Envelope], object],
        vanished: Callable[[str, str, Mapping[str, Any]], object],
    ) -> None:
        """
        Begin, and return without waiting for the network.

        Args:
            deliver: Takes a message for the local members of its room, from any thread. It never waits
                for a peer and never raises; whoever wants an order calls it in that order.
            vanished: Takes a room, the id of a member and its info: its process was killed, and cannot
                tell by itself that it has left. One backplane of all calls it, once, in a thread that may
                wait; it never raises.
        """

    def close(self) -> None:
        """
        End; :meth:`start` may be called again, and brings back nothing: the hub tells of its members anew.

        Again does nothing. A backplane that has ended by itself, with the interpreter, takes what is called
        after that without a word: connections end later, and their members leave.
        """

    def publish(self, room: str, payload: bytes, is_text: bool, exclude: tuple[str, ...] = ()) -> None:
        """
        Send a message to the hubs of the other processes, in the caller's order.

        Args:
            room: Checked: 1 to 200 characters that can be encoded as UTF-8.
            payload: UTF-8 when it is text; checked.
            exclude: Ids of members, here or elsewhere, who do not get it.

        Raises:
            ConnectionError: It is away and cannot keep the message, if that is its policy.
        """

    def subscribe(self, room: str) -> None:
        """Bring what others publish to a room, because it has its first local member."""

    def unsubscribe(self, room: str) -> None:
        """Bring no more of a room, because its last local member has left."""

    def enter(self, room: str, member_id: str, info: Mapping[str, Any]) -> None:
        """
        Let others know of a local member; again changes what they know.

        Args:
            info: What JSON has a notation for, and at most 1 KiB of it.
        """

    def exit(self, room: str, member_id: str) -> None:
        """Let others know that a local member has left."""

    def members(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        """
        Return who is in a room, here and elsewhere, by their ids, in the order of coming.

        It may wait for the network, with a bound. The hub puts its own members in the place of those it
        finds here, so that a backplane that is away returns what it knows, or nothing.
        """
