"""
Corks: what one thread sends to many leaves each connection in one piece, not message by message.

::

    with Cork() as cork:
        for message in burst:
            for websocket in room:
                websocket.deliver(message)      # queued
    # Now each connection has made one system call, and each peer was woken up once.

Only what goes to many is held (:meth:`.Outgoing.send_prepared`), and only that of the thread or greenlet
which has the cork; whatever else is sent on one of these connections takes it along, so that the order holds.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from .native import get_ident

if TYPE_CHECKING:
    from .core.prepared import PreparedMessage

__all__ = ["Cork", "Corkable", "find_cork", "find_held", "flush", "flush_if_let_go", "hold", "let_go"]

logger = logging.getLogger("ws4py_middleware")


class Corkable:
    """What can hold back what it sends, and knows whether it does."""

    __slots__ = ("is_corked",)

    def __init__(self) -> None:
        #: Whether it is on the list of a cork.
        self.is_corked = False

    def send_shared(self, message: PreparedMessage, cork: list[Any] | None) -> bool:
        """
        Send a message that goes to many; never wait and never raise.

        Args:
            cork: What :func:`find_cork` has returned. Who sends to many asks for it once, and says
                :func:`flush_if_let_go` behind the last of them.

        Returns:
            Whether it was queued.
        """
        raise NotImplementedError

    def uncork(self) -> None:
        """Let leave what is held back."""
        raise NotImplementedError


#: What is held back, by thread; empty most of the time, so that it costs others nothing to ask.
_corks: dict[int, list[Any]] = {}
#: The thread that has its list only when there is something to put onto it; 0: none. Most rounds need none.
_holding = 0


def _forget() -> None:
    global _holding
    _corks.clear()
    _holding = 0


# A forked child has none of its parent's threads, but may have a thread of the same number.
os.register_at_fork(after_in_child=_forget)


def find_cork() -> list[Any] | None:
    """Return the list onto which the calling thread puts what it holds back; most have none."""
    global _holding
    if _holding:
        me = get_ident()
        cork: list[Any] = []
        if _holding == me:
            # A round within a round, or another greenlet's, has one already, and what is on it has to leave.
            cork = _corks.setdefault(me, cork)
            if _holding == me:  # else somebody let go of it before it was there
                _holding = 0  # after it is there: it is in one of the two places for who lets go of it
                return cork
            let_go(me)
            return None
    return _corks.get(get_ident()) if _corks else None


def hold(ident: int) -> None:
    """Hold back what the calling thread, of this number, sends to many from now on."""
    global _holding
    if not _holding:
        _holding = ident
    elif _holding != ident:
        _corks.setdefault(ident, [])


def find_held(ident: int) -> list[Any] | None:
    """Return what a thread holds back, if there is something."""
    return _corks.get(ident) if _corks else None


def let_go(ident: int) -> None:
    """Let everything leave that a thread holds back, and hold back nothing more of it; from any thread."""
    global _holding
    if _holding == ident:
        _holding = 0
    if _corks:
        held = _corks.pop(ident, None)
        if held is not None:
            flush(held)


def flush_if_let_go(cork: list[Any] | None) -> None:
    """Let leave what came onto a list after another thread had let go of it; or it waits for the hook."""
    if cork is not None and find_cork() is not cork:
        flush(cork)


class Cork:
    """Holds back what its thread, or greenlet, sends to many, until the block ends."""

    __slots__ = ("_ident", "held")

    def __init__(self) -> None:
        #: What has to be flushed.
        self.held: list[Any] = []
        self._ident = 0

    def __enter__(self) -> Cork:
        self._ident = get_ident()
        # Inside another it has nothing to do.
        if _holding != self._ident:
            _corks.setdefault(self._ident, self.held)
        return self

    def __exit__(self, *_: object) -> None:
        if _corks.get(self._ident) is self.held:
            del _corks[self._ident]
        self.flush()

    def flush(self) -> None:
        """Let everything leave that is held so far."""
        flush(self.held)


def flush(held: list[Any]) -> None:
    """Let everything leave that a list holds, and empty it; from any thread, while its own adds to it."""
    while held:
        link = None
        try:
            while held:
                link = None
                link = held.pop()  # one by one: what came between a copy and its end would be forgotten
                link.uncork()
        except Exception:  # one connection's fault is not that of the others
            if link is not None:  # else another thread flushes it, too, and was faster
                logger.exception("an error of ws4py_middleware")
