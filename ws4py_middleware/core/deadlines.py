"""
Deadlines: keepalive, closing, idle and write timers as values; time is an argument.

Nothing here runs. Whoever drives the connection asks :meth:`Deadlines.next`
when to come back, and may come late or too often without harm.
"""

from __future__ import annotations

import enum
import math

from .limits import find_limits
from .policy import Policy

__all__ = ["Deadlines", "Due"]

#: The time of what has none: later than all others, so that it needs no question of its own.
_NEVER = math.inf

#: How long a closed connection waits for the peer's FIN, so that closing the
#: socket does not reset it and take our last Close frame away.
LINGER = 0.5


class Due(enum.Enum):
    """What is to be done when a deadline has come."""

    PING = "send a keepalive ping"
    PING_TIMEOUT = "no pong came in time"
    WRITE_TIMEOUT = "the peer took no bytes in time"
    IDLE_TIMEOUT = "the peer sent no message in time"
    CLOSE_TIMEOUT = "the closing handshake did not end in time"


class _Others:
    """The points in time that a connection that is at rest has not."""

    __slots__ = ("close", "idle", "life", "paused", "pong")

    def __init__(self) -> None:
        self.close = self.idle = self.life = self.pong = _NEVER
        self.paused = _NEVER  # since then


class Deadlines:
    """
    The points in time at which a connection has something to do.

    Times are of one monotonic clock, in seconds.

    Args:
        policy: The timeouts and intervals.
        now: The time at which the connection was opened.
        keepalive: Whether pings are this end's to send.
    """

    __slots__ = ("_limits", "_others", "_ping", "lifetime_over", "write_due")

    def __init__(self, policy: Policy, now: float, *, keepalive: bool = True) -> None:
        limits = self._limits = find_limits(policy)
        self._ping = now + limits.ping_interval if keepalive else _NEVER
        #: When the network has to have taken something; infinity: nobody waits for that.
        self.write_due = _NEVER
        #: Whether ``policy.max_lifetime`` has passed, and nobody has agreed to another.
        self.lifetime_over = False
        self._others: _Others | None = None  # while none of them is armed
        if limits.idle_timeout != _NEVER or limits.max_lifetime != _NEVER:
            others = self._others = _Others()
            others.idle = now + limits.idle_timeout
            others.life = now + limits.max_lifetime

    def next(self) -> float | None:
        """Return the earliest deadline, or ``None``."""
        when = min(self._ping, self.write_due)
        others = self._others
        if others is not None:
            when = min(when, others.close, others.life)
            if others.paused == _NEVER:
                when = min(when, others.pong, others.idle)
        return None if when == _NEVER else when

    def take_due(self, now: float) -> Due | None:
        """
        Return what is due, the gravest first, and arm what follows from it.

        The end of a lifetime is the handler's business, and only noted: see :attr:`lifetime_over`.

        Call it until it returns ``None``.
        """
        others = self._others
        if others is not None and others.close <= now:
            self.end()
            return Due.CLOSE_TIMEOUT
        if self.write_due <= now:
            self.end()
            return Due.WRITE_TIMEOUT
        if others is not None:
            if others.paused == _NEVER:
                if others.pong <= now:
                    others.pong = self._ping = _NEVER
                    return Due.PING_TIMEOUT
                if others.idle <= now:
                    others.idle = _NEVER
                    return Due.IDLE_TIMEOUT
            if others.life <= now:
                others.life = _NEVER
                self.lifetime_over = True
        if self._ping <= now:
            # From now, not from then: a driver that slept through five pings sends one.
            self._ping = now + self._limits.ping_interval
            return Due.PING
        return None

    def ping_sent(self, now: float) -> None:
        """A keepalive ping is on its way; a pong is due unless one already was."""
        if self._limits.ping_timeout != _NEVER:
            others = self._arm()
            if others.pong == _NEVER:
                others.pong = now + self._limits.ping_timeout

    def pong_received(self) -> None:
        """The keepalive ping was answered."""
        others = self._others
        if others is not None:
            others.pong = _NEVER
            self._tidy(others)

    def message_received(self, now: float) -> None:
        """The peer said something of its own."""
        others = self._others
        if others is not None and others.idle != _NEVER:
            others.idle = now + self._limits.idle_timeout

    def renew(self, now: float) -> None:
        """The connection may last for another lifetime."""
        self.lifetime_over = False
        if self._limits.max_lifetime != _NEVER:
            self._arm().life = now + self._limits.max_lifetime

    def write_blocked(self, now: float) -> None:
        """The peer's window is full; it has to take something in time."""
        self.write_due = now + self._limits.write_timeout

    def write_done(self) -> None:
        """All bytes were taken."""
        self.write_due = _NEVER

    @property
    def is_write_blocked(self) -> bool:
        """Whether :meth:`write_blocked` is in force."""
        return self.write_due != _NEVER

    def pause(self, now: float) -> None:
        """Nothing is read for now: what the peer says is not seen, and it is not blamed for that."""
        others = self._arm()
        if others.paused == _NEVER:
            others.paused = now

    def resume(self, now: float) -> None:
        """
        Reading goes on; the pause does not count for the pong and the message that are awaited.

        They have what was left of their time, not the whole of it again: a peer that
        has us pause all the time would never be found out.
        """
        others = self._others
        if others is None or others.paused == _NEVER:
            return
        paused, others.paused = others.paused, _NEVER
        limits = self._limits
        if others.pong != _NEVER:
            others.pong += now - max(paused, others.pong - limits.ping_timeout)
        if others.idle != _NEVER:
            others.idle += now - max(paused, others.idle - limits.idle_timeout)
        self._tidy(others)

    def close_sent(self, now: float) -> None:
        """The closing handshake began; nothing else has a deadline now, and this one does not move."""
        self._ping = _NEVER
        others = self._arm()
        others.pong = others.idle = others.life = _NEVER
        if others.close == _NEVER:
            others.close = now + self._limits.close_timeout

    def linger(self, now: float) -> None:
        """The closing handshake is over; only the peer's FIN is waited for."""
        self.end()
        self._arm().close = now + LINGER

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._ping = self.write_due = _NEVER
        others = self._others
        if others is not None:
            others.pong = others.idle = others.life = others.close = _NEVER
            self._tidy(others)

    def _arm(self) -> _Others:
        """Return those of which one is about to be armed."""
        others = self._others
        if others is None:
            others = self._others = _Others()
        return others

    def _tidy(self, others: _Others) -> None:
        """Forget them when none is armed: mostly a connection waits for its next ping, and has no others."""
        if min(others.pong, others.close, others.idle, others.life, others.paused) == _NEVER:
            self._others = None
