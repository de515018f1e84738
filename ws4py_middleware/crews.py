"""The crew of greenlets: who leads, whose hook waits, and what is left of a round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dispatching import Rounds

if TYPE_CHECKING:
    from greenlet import greenlet

    from .link import Link

__all__ = ["GreenletCrew"]

#: Greenlets that are kept for hooks that will wait.
_SPARE = 16


class GreenletCrew(Rounds):
    """The greenlets in which hooks run; all of it belongs to the hub's thread."""

    def __init__(self) -> None:
        # A class that waits stops nobody, so none is slow, and nobody is watched.
        super().__init__(hands_on=True)
        #: The one that gives the turns; it is parked when it does not.
        self.leader: greenlet | None = None
        #: The link whose turn the leader is in; the leader finds out by it that it leads no more.
        self.running: list[Link] = []
        #: Whether the leader has control, and looks at the queue of turns by itself.
        self.leads = False
        #: Whether the hub has looked at everybody's sockets since the last round.
        self.due = True
        #: What the poller has told, and how much of it was given to the links.
        self.round: list[tuple[int, int]] = []
        self.place = 0
        #: What is left of a round, and whose the descriptors were.
        self.rest: list[tuple[int, int, Link | None]] = []
        #: Those whose hooks wait, with their links; by what these are held with.
        self.waiting: dict[int, tuple[greenlet, Link]] = {}
        self.idle: list[greenlet] = []
        self.is_over = False

    def take(self, who: greenlet) -> bool:
        """Keep one that has come back from a hook; return whether it is of use."""
        if self.leader is None:
            self.leader = who
        elif len(self.idle) < _SPARE:
            self.idle.append(who)
        else:
            return False
        return True

    def drop(self, who: greenlet) -> bool:
        """Forget one that ends; return whether it was the leader."""
        if who in self.idle:
            self.idle.remove(who)
        if self.leader is not who:
            return False
        self.leader = None
        self.running, self.leads, self.round = [], False, []
        return True

    def disown(self) -> None:
        """End it, also for those that are in a hook now."""
        self.is_over = True
        self.running.clear()
        self.leader = None
        self.rest, self.idle = [], []
