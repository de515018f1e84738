"""
Deadlines: keepalive, closing, idle and write timers as values; time is an argument.

Nothing here runs. Whoever drives the connection asks :meth:`Deadlines.next`
when to come back, and may come late or too often without harm.
"""

from __future__ import annotations

import enum
import math

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


class Deadlines:
    """
    The points in time at which a connection has something to do.

    Times are of one monotonic clock, in seconds.

    Args:
        policy: The timeouts and intervals.
        now: The time at which the connection was opened.
        keepalive: Whether pings are this end's to send.
    """

    __slots__ = (
        "_close",
        "_idle",
        "_life",
        "_paused",
        "_ping",
        "_policy",
        "_pong",
        "lifetime_over",
        "write_due",
    )

    def __init__(self, policy: Policy, now: float, *, keepalive: bool = True) -> None:
        self._policy = policy
        interval = policy.ping_interval if keepalive else None
        self._ping = _NEVER if interval is None else now + interval
        self._pong = _NEVER
        #: When the network has to have taken something; infinity: nobody waits for that.
        self.write_due = _NEVER
        self._close = _NEVER
        self._idle = _NEVER if policy.idle_timeout is None else now + policy.idle_timeout
        #: Whether ``policy.max_lifetime`` has passed, and nobody has agreed to another.
        self.lifetime_over = False
        self._life = _NEVER if policy.max_lifetime is None else now + policy.max_lifetime
        self._paused = _NEVER  # since then

    def next(self) -> float | None:
        """Return the earliest deadline, or ``None``."""
        when = min(self._ping, self.write_due, self._close, self._life)
        if self._paused == _NEVER:
            when = min(when, self._pong, self._idle)
        return None if when == _NEVER else when

    def take_due(self, now: float) -> Due | None:
        """
        Return what is due, the gravest first, and arm what follows from it.

        The end of a lifetime is the handler's business, and only noted: see :attr:`lifetime_over`.

        Call it until it returns ``None``.
        """
        if self._close <= now:
            self.end()
            return Due.CLOSE_TIMEOUT
        if self.write_due <= now:
            self.end()
            return Due.WRITE_TIMEOUT
        if self._paused == _NEVER:
            if self._pong <= now:
                self._pong = self._ping = _NEVER
                return Due.PING_TIMEOUT
            if self._idle <= now:
                self._idle = _NEVER
                return Due.IDLE_TIMEOUT
        if self._life <= now:
            self._life = _NEVER
            self.lifetime_over = True
        if self._ping <= now:
            interval = self._policy.ping_interval
            assert interval is not None
            # From now, not from then: a driver that slept through five pings sends one.
            self._ping = now + interval
            return Due.PING
        return None

    def ping_sent(self, now: float) -> None:
        """A keepalive ping is on its way; a pong is due unless one already was."""
        if self._pong == _NEVER and self._policy.ping_timeout is not None:
            self._pong = now + self._policy.ping_timeout

    def pong_received(self) -> None:
        """The keepalive ping was answered."""
        self._pong = _NEVER

    def message_received(self, now: float) -> None:
        """The peer said something of its own."""
        if self._idle != _NEVER:
            assert self._policy.idle_timeout is not None
            self._idle = now + self._policy.idle_timeout

    def renew(self, now: float) -> None:
        """The connection may last for another lifetime."""
        self.lifetime_over = False
        if self._policy.max_lifetime is not None:
            self._life = now + self._policy.max_lifetime

    def write_blocked(self, now: float) -> None:
        """The peer's window is full; it has to take something in time."""
        if self._policy.write_timeout is not None:
            self.write_due = now + self._policy.write_timeout

    def write_done(self) -> None:
        """All bytes were taken."""
        self.write_due = _NEVER

    def is_taking(self) -> bool:
        """Tell whether the network is waited for no longer than it takes: nothing is stuck."""
        return self.write_due == _NEVER

    @property
    def is_write_blocked(self) -> bool:
        """Whether :meth:`write_blocked` is in force."""
        return self.write_due != _NEVER

    def pause(self, now: float) -> None:
        """Nothing is read for now: what the peer says is not seen, and it is not blamed for that."""
        if self._paused == _NEVER:
            self._paused = now

    def resume(self, now: float) -> None:
        """
        Reading goes on; the pause does not count for the pong and the message that are awaited.

        They have what was left of their time, not the whole of it again: a peer that
        has us pause all the time would never be found out.
        """
        paused, self._paused = self._paused, _NEVER
        if paused == _NEVER:
            return
        if self._pong != _NEVER and self._policy.ping_timeout is not None:
            self._pong += now - max(paused, self._pong - self._policy.ping_timeout)
        if self._idle != _NEVER and self._policy.idle_timeout is not None:
            self._idle += now - max(paused, self._idle - self._policy.idle_timeout)

    def close_sent(self, now: float) -> None:
        """The closing handshake began; nothing else has a deadline now, and this one does not move."""
        self._ping = self._pong = self._idle = self._life = _NEVER
        timeout = self._policy.close_timeout
        if self._close == _NEVER and timeout is not None:
            self._close = now + timeout

    def linger(self, now: float) -> None:
        """The closing handshake is over; only the peer's FIN is waited for."""
        self.end()
        self._close = now + LINGER

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._ping = self._pong = self._idle = self._life = self.write_due = self._close = _NEVER
