"""
The hand-on: a handler may block, and the others do not wait for it.

One thread of a manager leads: it polls, gives each connection its turn, in which the handler runs,
and sees to the timers. When a callback is still running after ``handon_after`` seconds, a watchdog
hands the loop on to another thread. The one that is busy keeps its connection, and nobody else
gives that a turn, until the callback has returned; then it waits to be of use again. So a thread is

* the leader: it alone waits for the poller, and runs timers;
* busy: with the turn of one link, which is *held*: not read from, and left alone by the leader;
* idle, until it is given either; it ends when that takes long.

A handler class that was caught blocking goes straight to a thread of its own, until it has been
quick for a while. Handlers that never block pay for two operations on a list each turn.
"""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from _thread import get_ident, get_native_id
from collections import deque
from time import monotonic, sleep
from typing import TYPE_CHECKING

from .corks import let_go
from .dispatching import Rounds, make_place

if TYPE_CHECKING:
    from .leading import Leading
    from .link import Link

__all__ = ["STOP_TIMEOUT", "Crew"]

logger = logging.getLogger("ws4py_middleware")

#: How long the end of a run waits for callbacks that do not return; seconds.
STOP_TIMEOUT = 1.0

#: How long the watchdog goes on looking when nothing happens, before it sleeps; looks.
_QUIET = 20
#: A turn that takes long outside of callbacks mostly waits for the GIL: it is given more time; looks.
_PATIENCE = 20
#: How often it is logged that all threads are busy; seconds.
_WARN_INTERVAL = 60.0


class _Hand:
    """One thread, and its part."""

    __slots__ = ("bell", "ident", "kind", "leads", "link", "native", "running", "since", "ticks")

    def __init__(self, *, leads: bool = False) -> None:
        self.bell = threading.Event()
        self.ident = 0
        self.leads = leads
        self.link: Link | None = None
        self.kind: type | None = None  # the handler's class; a link forgets its handler
        self.since = 0.0
        self.native = 0  # the system's number of the thread
        self.ticks = 0
        #: The link whose turn a leader is in. Who takes it out has it: the leader goes on only with what
        #: it has taken out itself. It is one operation, so that neither needs a lock.
        self.running = make_place()

    def take(self, link: Link, since: float | None = None) -> None:
        self.link = link
        self.kind = type(link.handler)
        self.since = monotonic() if since is None else since


class Crew(Rounds):
    """The threads of one run of a manager."""

    #: How long a thread stays when there is nothing for it to do; seconds.
    idle_time: float = 0.5
    #: How long a handler class has to be quick before its callbacks run in the loop again; seconds.
    quick_time: float = 10.0

    def __init__(self, manager: Leading) -> None:
        super().__init__(hands_on=manager.max_threads > 1 and manager.handon_after is not None, asleep=True)
        #: The threads in which callbacks run.
        self.idents: set[int] = set()
        #: Set when the run is over: nobody leads any more.
        self.ended = threading.Event()
        self._manager = manager
        self._lock = threading.Lock()  # before those of links
        self._hands: set[_Hand] = set()
        self._idle: list[_Hand] = []
        self._leader: _Hand | None = None
        self._running = make_place()  # the leader's
        self._jobs: deque[Link] = deque()  # held, and waiting for a thread
        self._stalled: Link | None = None  # in whose turn the leader blocks, and nobody was free
        self._is_over = False
        self._gone = threading.Event()
        #: Those that were started here, or for this; the set keeps none that has ended.
        self.threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._watchdog: threading.Thread | None = None
        self._bell = threading.Event()
        self._warned_at = -_WARN_INTERVAL
        self._numbers = itertools.count(2)

    # --- a thread ------------------------------------------------------------------------------

    def work(self, stays: bool = False) -> None:
        """
        Lead the loop in the caller's thread.

        Args:
            stays: Whether the thread is one of ours until the run is over, also when another one leads.
        """
        hand = _Hand(leads=True)
        with self._lock:
            self._hands.add(hand)
            self._leader = hand
            self._running = hand.running
        self._serve(hand, None if stays else self.idle_time)

    def _serve(self, hand: _Hand, patience: float | None) -> None:
        hand.ident = get_ident()
        hand.native = get_native_id()
        self.idents.add(hand.ident)
        try:
            while self._find_part(hand, patience):
                if hand.leads:
                    self._lead(hand)
                else:
                    self._give_turn(hand)
        except BaseException:
            self._give_up(hand, waits=patience is None)
            raise
        finally:
            self.idents.discard(hand.ident)
            with self._lock:
                self._hands.discard(hand)
                if self._is_over and not self._hands:
                    self._gone.set()

    def _find_part(self, hand: _Hand, patience: float | None) -> bool:
        """Wait until there is something to do; ``False`` when there is nothing any more."""
        with self._lock:
            if hand.leads or hand.link is not None:
                return True
            if self._stalled is not None and self._promote(hand, self._stalled):
                return True
            if self._jobs:
                hand.take(self._jobs.popleft())
                return True
            if self._is_over:
                self._hands.discard(hand)
                return False
            hand.bell.clear()
            self._idle.append(hand)
        hand.bell.wait(patience)
        with self._lock:
            if hand in self._idle:
                self._idle.remove(hand)
                # In one: nobody is to count on it any more.
                self._hands.discard(hand)
                return False
        return True

    def _lead(self, hand: _Hand) -> None:
        if self._manager._lead(self, hand.running) is None:
            self._finish(hand)
            return
        with self._lock:
            pass  # whoever has taken the loop is done with it
        self._end_turn(hand)

    def _give_turn(self, hand: _Hand) -> None:
        """Give a link its turn, in which it may block."""
        link = hand.link
        assert link is not None
        link.held = hand.ident
        try:
            link.on_readable()
        except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
            link.on_fault(error)
        finally:
            self._end_turn(hand)

    def _end_turn(self, hand: _Hand) -> None:
        """Let the loop have a link back."""
        link, kind = hand.link, hand.kind
        assert link is not None
        assert kind is not None
        now = monotonic()
        if now - hand.since >= (self._manager.handon_after or 0):
            self.slow[kind] = now
        while not link.let_go(self._manager._watch_again):
            link._conclude(link._told_opened)  # it was released meanwhile, and nobody has told the handler
        with self._lock:
            hand.link = hand.kind = None

    def _finish(self, hand: _Hand) -> None:
        """Note that the run is over: everything is dropped."""
        with self._lock:
            self._is_over = True
            self._leader = None
            hand.leads = False
            idle = list(self._idle)
        if self._manager._crew is self:  # and not a forked child's
            self._manager._end_run()
        self.ended.set()
        self._bell.set()
        for other in idle:
            other.bell.set()

    def _give_up(self, hand: _Hand, *, waits: bool) -> None:
        """See to what is left when a thread ends by an exception: Ctrl-C, or a poller that fails."""
        with self._lock:
            leads = self._leader is hand
            if leads:
                hand.running.clear()
            elif hand in self._idle:
                self._idle.remove(hand)
        if leads:
            self._manager.running = False
            link: Link | None = None
            try:
                link = self._manager._drop_all(self, hand.running)
            finally:
                # Whatever that raises: who waits for the end is not to wait for ever.
                if link is None:
                    self._finish(hand)
            if link is not None:
                self._end_turn(hand)
        else:
            if hand.link is not None:
                self._end_turn(hand)
            if waits and not self.ended.is_set():
                # It is its caller's thread, who has had enough of it.
                self._manager.running = False
                self._manager._wake()
                self.ended.wait()

    def wait_gone(self, timeout: float) -> bool:
        """Wait until all threads have ended, after the run is over; those that block may take longer."""
        until = monotonic() + timeout
        if not self._gone.wait(timeout):
            return False
        for thread in list(self.threads):
            thread.join(max(until - monotonic(), 0))  # it has nothing left to do but to end
        return True

    def disown(self) -> None:
        """Forget, in a forked child, the threads that are its parent's."""
        self._lock = threading.Lock()
        self._hands, self._idle = set(), []
        self._jobs.clear()
        self.asleep = False
        self._is_over = True

    # --- to hand on, and to give out ------------------------------------------------------------

    def give(self, link: Link) -> bool:
        """
        Let another thread give a link its turn, as soon as one is free.

        Returns:
            ``False`` when there is none, and never will be.
        """
        link.hold(-1)
        hired = slowest = None
        with self._lock:
            if self._idle:
                hand = self._idle.pop()
                hand.take(link)
                hand.bell.set()
            elif len(self._hands) < self._manager.max_threads:
                hired = _Hand()
                hired.take(link)
                self._hands.add(hired)
            elif len(self._hands) > 1:
                self._jobs.append(link)
                slowest = self._find_slowest()
            else:
                link.let_go(self._manager._watch_again)
                return False
        if hired is not None and not self._hire(hired):
            with self._lock:
                self._hands.discard(hired)
            link.let_go(self._manager._watch_again)
            return False
        if slowest is not None:
            self._warn(slowest)
        return True

    def _hire(self, hand: _Hand) -> bool:
        manager = self._manager
        name = f"{manager.name}-{next(self._numbers)}"
        thread = threading.Thread(
            target=self._serve, args=(hand, self.idle_time), name=name, daemon=manager.daemon
        )
        self.threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self.threads.discard(thread)
            logger.exception("no thread can be started for a handler that blocks")
            return False
        return True

    def _hand_on(self, link: Link) -> None:
        """Hand the loop on to another thread, if its leader is still in the turn of a link."""
        hired = slowest = None
        with self._lock:
            if self._idle:
                hand = self._idle[-1]
                if self._promote(hand, link):
                    self._idle.pop()
                    hand.bell.set()
            elif len(self._hands) < self._manager.max_threads:
                hired = _Hand()
                if self._promote(hired, link):
                    self._hands.add(hired)
                else:
                    hired = None
            else:
                self._stalled = link
                slowest = self._find_slowest()
                if self._leader is not None:
                    let_go(self._leader.ident)
        if slowest is not None:
            self._warn(slowest)
        elif hired is not None and not self._hire(hired):
            self._serve(hired, self.idle_time)  # then this one has to do, and nobody watches

    def _promote(self, hand: _Hand, expected: Link) -> bool:
        """Make a thread the leader in place of one that is in the turn of a link; the lock is held."""
        try:
            link = self._running.pop()
        except IndexError:
            return False  # it has just come back
        former = self._leader
        assert former is not None
        former.leads = False
        now = monotonic()
        former.take(link, now)
        if link is expected:
            former.since -= self._manager.handon_after or 0
            self.slow[type(link.handler)] = now
        # Else it has just begun another turn: that does no harm, but proves nothing against its handler.
        link.hold(former.ident)
        let_go(former.ident)  # what it has sent to many does not wait for it
        hand.leads = True
        # A list of its own: the former leader is to find out that its own is empty.
        hand.running = self._running = make_place()
        self._leader = hand
        self._stalled = None
        return True

    def _find_slowest(self) -> tuple[str, float] | None:
        """Return the class whose callback has been running the longest, and how long; the lock is held."""
        busy = [(hand.since, hand.kind.__qualname__) for hand in self._hands if hand.kind is not None]
        if not busy:
            return None  # all have just come back
        since, name = min(busy)
        return name, monotonic() - since

    def _warn(self, slowest: tuple[str, float]) -> None:
        now = monotonic()
        if now - self._warned_at >= _WARN_INTERVAL:
            self._warned_at = now
            logger.warning(
                "all %d threads are busy with handlers that block, and others wait; the slowest is %s, "
                "which has been busy for %.3f s",
                self._manager.max_threads,
                *slowest,
            )

    # --- the watchdog ----------------------------------------------------------------------------

    def wake(self) -> None:
        """Let the watchdog look; called by the leader, when it was asleep."""
        if self._manager.handon_after is None or self._manager.max_threads < 2:
            return
        self.asleep = False
        if self._watchdog is None:
            name = f"{self._manager.name}-watchdog"
            self._watchdog = threading.Thread(target=self._watch, name=name, daemon=True)
            self.threads.add(self._watchdog)
            try:
                self._watchdog.start()
            except RuntimeError:
                self.threads.discard(self._watchdog)
                logger.exception("no thread can be started to watch for handlers that block")
        else:
            self._bell.set()

    def _watch(self) -> None:
        """Look every ``handon_after`` seconds whether the leader is in the same turn as at the last look."""
        seen: tuple[int, Link | None] = -1, None
        looks = quiet = 0
        while not self.ended.is_set():
            if quiet > _QUIET:
                seen = self.rounds, None
                self._sleep(seen[0])
                quiet = 0
            after = self._manager.handon_after
            sleep(after or 1)
            found = self._look()
            link = None if after is None else found[1]
            quiet = quiet + 1 if link is None and found[0] == seen[0] else 0
            if link is None or found != seen:
                seen = found
                looks = 0
                self._stalled = None
                self._forgive()
                continue
            looks += 1
            if looks >= _PATIENCE or (link._busy and not self._is_starved(looks)):
                if looks * (after or 1) >= STOP_TIMEOUT and not self._manager.running:
                    self._cut(link)
                else:
                    self._hand_on(link)
            link = None

    def _sleep(self, rounds: int) -> None:
        self.asleep = True
        # Only now: a leader who has found us awake has changed one of them.
        if self.rounds == rounds and not self._running:
            self._bell.wait()
            self._bell.clear()
        self.asleep = False

    def _look(self) -> tuple[int, Link | None]:
        rounds = self.rounds
        try:
            return rounds, self._running[-1]
        except IndexError:
            return rounds, None

    def _is_starved(self, looks: int) -> bool:
        """Tell whether the leader could run, and the system does not let it; Linux says so."""
        leader = self._leader
        if leader is None or not leader.native:
            return False
        try:
            with open(f"/proc/self/task/{leader.native}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return False
        # The state, and how long it has run: in ticks, of which one that computes gets some.
        state, ticks = fields[0], int(fields[11]) + int(fields[12])
        used, leader.ticks = ticks - leader.ticks, ticks
        return state == b"R" and (looks == 1 or used == 0)

    def _forgive(self) -> None:
        """Let the classes that have been quick for a while run in the loop again."""
        if self.slow:
            until = monotonic() - self.quick_time
            for kind, when in list(self.slow.items()):
                if when < until:
                    self.slow.pop(kind, None)

    def _cut(self, link: Link) -> None:
        """End a run whose threads are all blocked: handlers are told of the end as threads come back."""
        hand = _Hand()
        with self._lock:
            if not self._promote(hand, link):
                return
        for other in self._manager._take_links():
            if not self._manager._cut(other):
                other.hold(-1)
                other.cut()
                with self._lock:
                    self._jobs.append(other)
        self._finish(hand)
