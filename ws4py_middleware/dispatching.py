"""A round of a manager's loop: who is ready has a turn, one after the other."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from .corks import find_held, flush, hold, let_go
from .epolls import WRITE, wait_epoll
from .link import Link
from .native import get_ident, monotonic
from .pollers import EPollPoller, ForeignPoller

__all__ = ["Led", "Rounds", "dispatch", "lead", "make_place"]

# As numbers of C.
_WRITE = WRITE
_FOREVER = math.inf

# How long the rest of a round may take before what was sent to many does not wait for its end; seconds.
_HELD_TIME = 0.001


def make_place() -> list[Link]:
    """Return an empty list for one link, with the memory for it: none is taken or given back in a turn."""
    place: list[Any] = [None]
    place.pop()
    return place


class Led:
    """What a loop asks of its manager in each round; in a class of its own, which can be compiled."""

    __slots__ = ("_crew", "_links", "_timer_moved", "_turns", "running")

    def __init__(self) -> None:
        #: Whether it polls, until it is stopped.
        self.running = False
        self._crew: Any = None
        self._links: dict[int, Link] = {}
        self._timer_moved = False  # there is an earlier one, or none any more
        self._turns: deque[Link] = deque()


class Rounds:
    """
    What a loop asks of a crew in each round.

    Args:
        hands_on: Whether the loop goes on elsewhere when a handler waits.
        asleep: As :attr:`asleep`.
    """

    __slots__ = ("asleep", "hands_on", "rounds", "slow")

    def __init__(self, *, hands_on: bool, asleep: bool = False) -> None:
        #: How many times the leader has asked who is ready; so two turns of one link can be told apart.
        self.rounds = 0
        #: Whether the watchdog has to be woken when there is something to watch.
        self.asleep = asleep
        #: Whether the loop is handed on when a handler blocks.
        self.hands_on = hands_on
        #: The handler classes that block, and when they were last caught.
        self.slow: dict[type, float] = {}


def lead(manager: Any, poller: Any, crew: Rounds, running: list[Link]) -> Link | None:
    """
    Poll and dispatch until the manager is stopped, or another thread leads.

    Args:
        crew, running: As for :func:`dispatch`.

    Returns:
        The link in whose turn the loop was handed on to another thread; ``None``: the run is over.
    """
    led: Led = manager
    turns = led._turns
    is_epoll = type(poller) is EPollPoller
    led._timer_moved = True
    due = timeout = _FOREVER
    while led.running and led._crew is crew:
        if led._timer_moved:
            led._timer_moved = False
            when = manager._timers.next()
            due = _FOREVER if when is None else when
        timeout = due
        if turns:
            timeout = 0.0
        elif due != _FOREVER:
            timeout = max(due - monotonic(), 0.0)
        if timeout == 0:  # for a timer that is due, or for turns
            manager._take_timers()
            led._timer_moved = True
            if turns and isinstance(poller, ForeignPoller):
                manager._poke()  # it cannot be told not to wait
        if is_epoll:
            ready = wait_epoll(poller._epoll, timeout)
        else:
            ready = poller.wait(None if timeout == _FOREVER else timeout)
        link = None
        if ready:  # else it was for a timer, in which no hook is called
            crew.rounds += 1
            # One that hands nothing on has no watchdog; but it may be told otherwise while it runs.
            if crew.asleep and (crew.hands_on or not crew.rounds & 63):
                watchdog: Any = crew
                watchdog.wake()
            link = dispatch(manager, ready, crew, running)
        if link is None and turns:
            link = manager._take_turns(crew, running)
        if link is not None:
            return link
    return None


def dispatch(manager: Any, ready: list[tuple[int, int]], crew: Rounds, running: list[Link]) -> Link | None:
    """
    Give each connection that is ready its turn.

    Args:
        ready: What the poller has told: descriptors, and what they are ready for.
        crew: The threads, or greenlets, of the manager.
        running: Where the link whose turn it is stands, for the crew to take it out.

    Returns:
        The link in whose turn the loop was handed on to another thread, and so the rest of the round.
    """
    led: Led = manager
    links, slow = led._links, crew.slow
    gives: Any = crew
    ident = get_ident()
    held: list[Any] | None = None
    since = 0.0
    # What is sent to many leaves at the end of the round, in one piece for each; or when a handler blocks.
    if crew.hands_on:
        hold(ident)
    try:
        for fd, events in ready:
            link = links.get(fd)
            if link is None:
                manager._dispatch_other(fd)
                continue
            if link.held:
                manager._tend(link, events)
                continue
            if slow and events != _WRITE and type(link.handler) in slow and gives.give(link):
                continue
            running.append(link)
            try:
                link.on_ready(events)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
                link.on_fault(error)
            try:
                running.pop()
            except IndexError:
                return link
            held = find_held(ident)
            if held:
                if since == 0:
                    since = monotonic()
                elif monotonic() - since > _HELD_TIME:
                    flush(held)
    finally:
        let_go(ident)
        if held:
            flush(held)  # it was taken off the books, while this thread had it in its hands
    return None
