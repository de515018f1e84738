"""
Deadlines: keepalive, closing, idle and write timers as values; time is an argument.

Nothing here runs. Whoever drives the connection asks :meth:`Deadlines.next`
when to come back, and may come late or too often without harm.
"""

from __future__ import annotations

import enum

from .policy import Policy

__all__ = ["Deadlines", "Due"]

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
        "_write",
        "lifetime_over",
    )

    def __init__(self, policy: Policy, now: float, *, keepalive: bool = True) -> None:
        self._policy = policy
        interval = policy.ping_interval if keepalive else None
        self._ping = None if interval is None else now + interval
        self._pong: float | None = None
        self._write: float | None = None
        self._close: float | None = None
        self._idle = None if policy.idle_timeout is None else now + policy.idle_timeout
        #: Whether ``policy.max_lifetime`` has passed, and nobody has agreed to another.
        self.lifetime_over = False
        self._life = None if policy.max_lifetime is None else now + policy.max_lifetime
        self._paused: float | None = None  # since then

    def next(self) -> float | None:
        """Return the earliest deadline, or ``None``."""
        times = [self._ping, self._write, self._close, self._life]
        if self._paused is None:
            times += self._pong, self._idle
        return min((time for time in times if time is not None), default=None)

    def take_due(self, now: float) -> Due | None:
        """
        Return what is due, the gravest first, and arm what follows from it.

        The end of a lifetime is the handler's business, and only noted: see :attr:`lifetime_over`.

        Call it until it returns ``None``.
        """
        if self._close is not None and self._close <= now:
            self.end()
            return Due.CLOSE_TIMEOUT
        if self._write is not None and self._write <= now:
            self.end()
            return Due.WRITE_TIMEOUT
        if self._paused is None:
            if self._pong is not None and self._pong <= now:
                self._pong = self._ping = None
                return Due.PING_TIMEOUT
            if self._idle is not None and self._idle <= now:
                self._idle = None
                return Due.IDLE_TIMEOUT
        if self._life is not None and self._life <= now:
            self._life = None
            self.lifetime_over = True
        if self._ping is not None and self._ping <= now:
            interval = self._policy.ping_interval
            assert interval is not None
            # From now, not from then: a driver that slept through five pings sends one.
            self._ping = now + interval
            return Due.PING
        return None

    def ping_sent(self, now: float) -> None:
        """A keepalive ping is on its way; a pong is due unless one already was."""
        if self._pong is None and self._policy.ping_timeout is not None:
            self._pong = now + self._policy.ping_timeout

    def pong_received(self) -> None:
        """The keepalive ping was answered."""
        self._pong = None

    def message_received(self, now: float) -> None:
        """The peer said something of its own."""
        if self._idle is not None:
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
            self._write = now + self._policy.write_timeout

    def write_done(self) -> None:
        """All bytes were taken."""
        self._write = None

    @property
    def is_write_blocked(self) -> bool:
        """Whether :meth:`write_blocked` is in force."""
        return self._write is not None

    def pause(self, now: float) -> None:
        """Nothing is read for now: what the peer says is not seen, and it is not blamed for that."""
        if self._paused is None:
            self._paused = now

    def resume(self, now: float) -> None:
        """
        Reading goes on; the pause does not count for the pong and the message that are awaited.

        They have what was left of their time, not the whole of it again: a peer that
        has us pause all the time would never be found out.
        """
        paused, self._paused = self._paused, None
        if paused is None:
            return
        if self._pong is not None and self._policy.ping_timeout is not None:
            self._pong += now - max(paused, self._pong - self._policy.ping_timeout)
        if self._idle is not None and self._policy.idle_timeout is not None:
            self._idle += now - max(paused, self._idle - self._policy.idle_timeout)

    def close_sent(self, now: float) -> None:
        """The closing handshake began; nothing else has a deadline now, and this one does not move."""
        self._ping = self._pong = self._idle = self._life = None
        timeout = self._policy.close_timeout
        if self._close is None and timeout is not None:
            self._close = now + timeout

    def linger(self, now: float) -> None:
        """The closing handshake is over; only the peer's FIN is waited for."""
        self.end()
        self._close = now + LINGER

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._ping = self._pong = self._idle = self._life = self._write = self._close = None
