"""
A client that comes back: what it has to say while it is away, and what is to be done next.

:class:`Reconnecting` is what a client has that was given ``reconnect=``, and all decisions are made in
it. What has to be done until there is a connection again is a :class:`Campaign`, one step after
the other; whoever carries it out in a thread, a greenlet or a task only waits, dials and calls hooks.
"""

from __future__ import annotations

import logging
import time
from _thread import RLock
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.types import Buffer, CloseCode, State
from ..exc import ConnectionClosed, HandshakeError
from ..inbox import Waker
from ..link import Link, Loop, TransportLike
from ..registry import Registry
from .backoff import Backoff, parse_retry_after

if TYPE_CHECKING:
    from ..core.connection import Connection
    from ..core.policy import Policy
    from .base import ClientBase

__all__ = ["Attempt", "AwayQueue", "Call", "Campaign", "Reconnecting", "Returning", "Step", "Wait"]

logger = logging.getLogger("ws4py_middleware")

#: What a message costs beside its payload, about: the head of its frame.
_MESSAGE_COST = 14

_OPEN = State.OPEN


class AwayQueue:
    """
    Messages that wait for the next connection; whoever owns it holds a lock around each call.

    At most ``policy.write_limit`` bytes wait; a single message may be larger.
    """

    __slots__ = ("_limit", "_messages", "_policy", "size")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy.queue_policy
        self._limit = policy.write_limit
        self._messages: deque[tuple[bytes, bool]] = deque()
        #: Bytes that wait.
        self.size = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, data: bytes, is_text: bool) -> bool:
        """
        Append a message, unless the bound is hit and the policy is to do something about it.

        Returns:
            Whether that is settled: it waits, or it was dropped. If not, the sender has to wait
            (``block``) or to give up (``disconnect``).
        """
        while not self.has_room(len(data)):
            if self._policy == "drop-newest":
                return True
            if self._policy != "drop-oldest":
                return False
            self.take()
        self._messages.append((data, is_text))
        self.size += len(data) + _MESSAGE_COST
        return True

    def has_room(self, size: int) -> bool:
        """Tell whether one more message is within the bound."""
        return not self._messages or self.size + size + _MESSAGE_COST <= self._limit

    def first(self) -> tuple[bytes, bool] | None:
        """Return the oldest message, and whether it is text; ``None`` when none waits."""
        return self._messages[0] if self._messages else None

    def take(self) -> None:
        """Forget the oldest message."""
        self.size -= len(self._messages.popleft()[0]) + _MESSAGE_COST

    def clear(self) -> None:
        """Forget all."""
        self._messages.clear()
        self.size = 0


@dataclass(frozen=True, slots=True)
class Call:
    """Call a hook; what it returns may have to be awaited."""

    function: Callable[..., object]
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a point in time; less when the campaign is called off."""

    until: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    Connect, let ``handshake_ok()`` go on with it, and tell :meth:`Reconnecting.landed`.

    When that fails, the result is the exception.
    """


Step = Call | Wait | Attempt
_Steps = Generator[Step, Exception | None, None]


class Campaign:
    """What is to be done until there is a connection again, or it is given up."""

    def __init__(self, steps: _Steps, manager: Registry | None = None) -> None:
        self._steps = steps
        #: In whose hands the client was, and is to be again.
        self.manager = manager
        #: What is to be done now; ``None`` when nothing is left.
        self.step: Step | None = next(steps, None)

    def advance(self, result: Exception | None = None) -> None:
        """Go on to the next step, with the result of the one before."""
        try:
            self.step = self._steps.send(result)
        except StopIteration:
            self.step = None


class Reconnecting(ABC):
    """
    The state of a client that connects again by itself. Safe from any thread.

    Args:
        client: The client.
        backoff: When it does.
    """

    def __init__(self, client: ClientBase, backoff: Backoff) -> None:
        self.client = client
        self.backoff = backoff
        #: The connection that there is, or that was the last one; ``None`` before the first.
        self.link: Returning | None = None
        #: Why there will be no other one.
        self.given_up: ConnectionClosed | None = None
        #: What is being done about it.
        self.campaign: Campaign | None = None
        self._lock = RLock()
        self._waiters: list[Waker] = []
        self._waiting = AwayQueue(client.policy)
        self._attempt = 0
        self._since = 0.0
        self._is_stopped = False
        #: The connection whose end is known here.
        self._ended: Returning | None = None
        #: The connection that messages go to at once: ``opened()`` was called, and none waits.
        self._flowing: Returning | None = None

    #: What the client's connections are driven by.
    link_class: ClassVar[type[Returning]]

    def make_link(self, transport: TransportLike, conn: Connection, loop: Loop) -> Returning:
        """Make what drives a connection; what came on the last one, and was not asked for, comes first."""
        link = self.link_class(self.client, transport, conn, loop)
        link.reconnecting = self
        self.client._marked = frozenset()
        if self.link is not None:
            link.inherit(self.link)
        return link

    # --- how it is carried out -----------------------------------------------------------------

    @abstractmethod
    def _begin(self, campaign: Campaign) -> None:
        """Let somebody carry a campaign out; called without the lock."""

    @abstractmethod
    def _call_off(self, campaign: Campaign) -> None:
        """Let nobody wait or dial any longer for a campaign; called without the lock."""

    @abstractmethod
    def _wait_for_room(self, link: Returning, size: int) -> bool:
        """Wait until fewer bytes wait; return ``False`` at once where the caller must not wait."""

    # --- the beginning and the end ---------------------------------------------------------------

    def restart(self) -> None:
        """Note that the application connects: what was before counts no more."""
        self._end(stopped=False)
        with self._lock:
            self.link = self._ended = self._flowing = self.given_up = None
            self._attempt = 0
            self._waiting = AwayQueue(self.client.policy)

    def persist(self, error: Exception) -> bool:
        """Go on after the first attempt has failed, if that is wanted; return whether it is."""
        if not (self.backoff.first and self._retries(error)):
            return False
        with self._lock:
            if self._is_stopped:
                return False
            campaign = self.campaign = Campaign(self._make_steps(error))
        self._begin(campaign)
        return True

    def landed(self, link: Link) -> None:
        """Note that there is a connection, whose ``handshake_ok()`` has returned."""
        assert isinstance(link, Returning)
        with self._lock:
            campaign, self.campaign = self.campaign, None
            self.link = link
            self._since = monotonic()
        self._changed()
        if self._is_stopped:
            link.close(1000, "")  # it was closed before there was anything to close
        if campaign is not None:
            self._call_off(campaign)
        if link.is_over:
            self.ended(link)

    def ended(self, link: Returning) -> None:
        """Decide what comes after the end of a connection, when all hooks have been told of it."""
        with self._lock:
            if self.link is not link or self._ended is link:
                return
            if monotonic() - self._since >= self.backoff.maximum:
                self._attempt = 0
            campaign = None
            if self._may_return(link):
                manager = link.loop if isinstance(link.loop, Registry) else None
                campaign = Campaign(self._make_steps(_describe_end(link)), manager)
            else:
                self._waiting.clear()
            # Both at once: else whoever asks in between is told that it was the last one.
            self._ended, self.campaign = link, campaign
        self._changed()
        if campaign is not None:
            self._begin(campaign)

    def stop(self) -> None:
        """Note that the application wants no connection any more."""
        self._end(stopped=True)

    def is_over(self, link: Link | None) -> bool:
        """Tell whether no other connection comes after one; ``None`` is before the first."""
        with self._lock:
            return self.campaign is None and (self._ended is link or self._is_stopped) and self.link is link

    def is_settled(self, link: Link | None) -> bool:
        """Tell whether it is known what comes after a connection: another one, or none."""
        return self.link is not link or self.is_over(link) or self._is_stopped

    def _end(self, *, stopped: bool | None = None) -> None:
        with self._lock:
            campaign, self.campaign = self.campaign, None
            if stopped is not None:
                self._is_stopped = stopped
            self._waiting.clear()
        self._changed()
        if campaign is not None:
            self._call_off(campaign)

    def _may_return(self, link: Returning) -> bool:
        """Tell whether another connection comes after one that has ended, or is about to."""
        if self.is_hopeless or (isinstance(link.loop, Registry) and link.loop.is_ending):
            return False  # nobody wants it, or would run it
        return link.conn.state is _OPEN or self._retries(_describe_end(link))

    def _retries(self, cause: Exception) -> bool:
        try:
            return self.backoff.retries(cause)
        except Exception:
            logger.exception("%r cannot tell what to try again", self.backoff)
            return False

    # --- the campaign ----------------------------------------------------------------------------

    def _make_steps(self, cause: Exception) -> _Steps:
        backoff, client = self.backoff, self.client
        while True:
            is_last = backoff.attempts is not None and self._attempt >= backoff.attempts
            if is_last or not self._retries(cause):
                yield Call(client.unhandled_error, (self._give_up(cause),))
                self._end()
                return
            self._attempt += 1
            headers = cause.headers if isinstance(cause, HandshakeError) else ()
            delay = backoff.delay(self._attempt, parse_retry_after(headers, time.time()))
            when = monotonic() + delay
            yield Call(client.reconnecting, (self._attempt, delay, cause))
            yield Wait(when)
            result = yield Attempt()
            assert result is not None  # a campaign that has succeeded goes no further
            cause = result

    def _give_up(self, cause: Exception) -> ConnectionClosed:
        times = f"after {self._attempt} attempt{'s' * (self._attempt != 1)}"
        error = ConnectionClosed(f"there is no connection, {times}: {cause or type(cause).__name__}")
        error.__cause__ = cause
        if isinstance(cause, ConnectionClosed):
            error.code, error.reason = cause.code, cause.reason
        with self._lock:
            self.given_up = error
        return error

    # --- messages ----------------------------------------------------------------------------------

    def keep(self, link: Returning, data: bytes, is_text: bool) -> bool | None:
        """
        Take a message that was to be sent on a connection, if it has to wait for another one.

        Returns:
            Whether that was done; else it can be sent now. ``None`` after a wait for room: ask again.

        Raises:
            ConnectionClosed: There is no connection, and none comes.
        """
        with self._lock:
            if not self.holds(link):
                return False
            if self._waiting.put(data, is_text):
                return True
        policy = link.policy
        if policy.queue_policy == "block" and self._wait_for_room(link, len(data)):
            return None
        error = ConnectionClosed(f"more than {policy.write_limit} bytes wait for the next connection", 1013)
        with self._lock:
            self.given_up = error
        self._end()
        if link.conn.state is _OPEN:  # its opened() has not returned yet; what waited for that is gone
            link.fail(CloseCode.TRY_AGAIN_LATER, str(error))
        raise error

    def holds(self, link: Returning) -> bool:
        """
        Tell whether messages that are sent now have to wait.

        Raises:
            ConnectionClosed: There is no connection, and none comes.
        """
        if link.conn.state is _OPEN:
            # What opened() sends comes before all that waits.
            return self._flowing is not link and not link.is_mine
        if self.given_up is not None:
            raise ConnectionClosed(str(self.given_up), self.given_up.code) from self.given_up
        return (self._ended is not link or self.campaign is not None) and self._may_return(link)

    def is_full(self, size: int) -> bool:
        """Tell whether a message would have to wait for room."""
        with self._lock:
            return not self._waiting.has_room(size)

    @property
    def has_room(self) -> bool:
        """Whether nobody has to wait who can: little waits, or will be dropped, or there is no hope."""
        policy = self.client.policy
        return (
            policy.queue_policy != "block"
            or self._waiting.size <= policy.write_high_water
            or self.is_hopeless
        )

    @property
    def is_hopeless(self) -> bool:
        """Whether there will be no other connection, unless the application makes it."""
        return self._is_stopped or self.given_up is not None

    def get_failure(self) -> BaseException:
        """Return why there was no connection at all."""
        given_up = self.given_up
        if given_up is None or given_up.__cause__ is None:
            return ConnectionClosed("it was closed while it was being connected")
        return given_up.__cause__

    def opened(self, link: Returning) -> None:
        """Send what has waited: ``opened()`` has been called."""
        with self._lock:
            waiting = self._waiting
            try:
                while (first := waiting.first()) is not None:
                    link.push(*first)
                    waiting.take()
            except ConnectionClosed:
                return  # opened() has closed it, or it is lost again; the next one gets the rest
            self._flowing = link
        self._changed()

    # --- those who wait --------------------------------------------------------------------------

    def _add_waiter(self, waiter: Waker) -> None:
        with self._lock:
            self._waiters.append(waiter)

    def _remove_waiter(self, waiter: Waker) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _changed(self) -> None:
        """Wake all who wait for a change."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()


def _describe_end(link: Returning) -> ConnectionClosed:
    code, reason = link.conn.close_code, link.conn.close_reason
    return ConnectionClosed(f"the connection has ended with {code} {reason}".rstrip(), code, reason)


class Returning(Link):
    """Comes before a class of links: the connection of a client that comes back."""

    # Without slots: those of two classes cannot be joined.
    reconnecting: Reconnecting

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left of it, and the last hook has returned."""
        return self.released and self._told_closed and not self._busy

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """Send a message on this connection, or on the next one."""
        client = self.reconnecting.client
        while (current := client._link) is self or current is None:
            kept = self.reconnecting.keep(self, bytes(data), is_text)
            if kept:
                return
            if kept is None:
                continue
            try:
                super().send_message(data, is_text)
                return
            except ConnectionClosed:
                # While connect() is at work there is none.
                if client._link in (self, None) and not self.reconnecting.holds(self):
                    raise
        current.send_message(data, is_text)  # it has come back while its sender looked away, or waited

    def begin_fragments(self) -> bool:
        """Send in fragments only what can be sent now, and on this connection."""
        if self._is_past() or self.reconnecting.holds(self) or not super().begin_fragments():
            return False
        if not self._is_past():
            return True
        self.end_fragments()  # it was lost while others had their turn
        return False

    def _is_past(self) -> bool:
        return self.conn.state is not _OPEN or self.reconnecting.client._link is not self

    def close(self, code: int | None, reason: str) -> None:
        """Begin the closing handshake: no other connection is wanted, also when a message has said so."""
        self.reconnecting.stop()
        super().close(code, reason)

    def push(self, data: bytes, is_text: bool) -> None:
        """Send a message that has waited, behind nothing and without a bound: there was one before."""
        with self._lock:
            self.conn.send_message(data, is_text)
            self._flush_unless_corked()

    def inherit(self, other: Returning) -> None:
        """Take over the messages that came on another connection, and that nobody has asked for yet."""
        with other._lock:
            inbox = other._inbox
            if inbox is None:
                return
            wanted = inbox.wanted
            messages = []
            while (message := inbox.take()) is not None:
                messages.append(message)
        with self._lock:
            heir = self._open_inbox()
            heir.wanted = wanted
            for message in messages:
                heir.put(message)

    def release(self) -> None:
        """Close the transport now; when all was told, it is decided what comes next."""
        super().release()
        if self.is_over:
            self.reconnecting.ended(self)
