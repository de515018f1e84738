"""A round of a manager's loop: who is ready has a turn, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .corks import flush, hold, let_go
from .epolls import WRITE, wait_epoll
from .link import Link
from .native import get_ident, monotonic
from .pollers import EPollPoller, ForeignPoller

if TYPE_CHECKING:
    from .leading import Leading

__all__ = ["dispatch", "lead", "make_place"]

# How long the rest of a round may take before what was sent to many does not wait for its end; seconds.
_HELD_TIME = 0.001


def make_place() -> list[Link]:
    """Return an empty list for one link, with the memory for it: none is taken or given back in a turn."""
    place: list[Any] = [None]
    place.pop()
    return place


def lead(manager: Any, poller: Any, crew: Any, running: list[Link]) -> Link | None:
    """
    Poll and dispatch until the manager is stopped, or another thread leads.

    Args:
        crew, running: As for :func:`dispatch`.

    Returns:
        The link in whose turn the loop was handed on to another thread; ``None``: the run is over.
    """
    turns = manager._turns
    is_epoll = type(poller) is EPollPoller
    due = manager._timers.next()
    while manager.running and manager._crew is crew:
        if manager._timer_moved:
            manager._timer_moved = False
            due = manager._timers.next()
        timeout = 0.0 if turns else None if due is None else max(due - monotonic(), 0.0)
        if timeout == 0:  # for a timer that is due, or for turns
            manager._take_timers()
            manager._timer_moved = True
            if turns and isinstance(poller, ForeignPoller):
                manager._poke()  # it cannot be told not to wait
        ready = wait_epoll(poller._epoll, timeout) if is_epoll else poller.wait(timeout)
        link = None
        if ready:  # else it was for a timer, in which no hook is called
            crew.rounds += 1
            if crew.asleep:
                crew.wake()
            link = dispatch(manager, ready, crew, running)
        if link is None and turns:
            link = manager._take_turns(crew, running)
        if link is not None:
            return link
    return None


def dispatch(manager: Leading, ready: list[tuple[int, int]], crew: Any, running: list[Link]) -> Link | None:
    """
    Give each connection that is ready its turn.

    Args:
        ready: What the poller has told: descriptors, and what they are ready for.
        crew: The threads, or greenlets, of the manager.
        running: Where the link whose turn it is stands, for the crew to take it out.

    Returns:
        The link in whose turn the loop was handed on to another thread, and so the rest of the round.
    """
    links, slow = manager._links, crew.slow
    ident = get_ident()
    # What is sent to many leaves at the end of the round, in one piece for each; or when a handler blocks.
    held = hold() if crew.hands_on else []
    began = monotonic()
    try:
        for fd, events in ready:
            link = links.get(fd)
            if link is None:
                manager._dispatch_other(fd)
                continue
            if link.held:
                manager._tend(link, events)
                continue
            if slow and events != WRITE and type(link.handler) in slow and crew.give(link):
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
            if held and monotonic() - began > _HELD_TIME:
                flush(held)
    finally:
        let_go(ident)
        if held:
            flush(held)  # it was taken off the books, while this thread had it in its hands
    return None
