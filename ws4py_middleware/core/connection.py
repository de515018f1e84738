"""
The connection: one WebSocket from its 101 to its end, without any I/O.

A driver brings bytes with :meth:`Connection.receive_data`, takes events with
:meth:`Connection.next_event`, sends what :meth:`Connection.data_to_send` gives
it and comes back at :meth:`Connection.next_deadline`. Message assembly, pongs,
the closing handshake and every timer are here, so that no driver has them.

Replies to the peer are made when their event is *taken*, not when it is parsed:
what a handler sends in answer to a message goes out before the reply to a Close
frame, or before the failure, that came right behind that message.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .counts import Counts
from .events import CloseReceived, Event, MessageReceived, PingReceived, PongReceived
from .frames import MAX_CONTROL_PAYLOAD, pack_close
from .keepalive import Keepalive
from .machine import Machine
from .outbox import Outbox
from .parser import Parser
from .policy import Policy
from .prepared import PreparedMessage
from .types import Buffer, CloseCode, Opcode, Side, State

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = ["TRANSITIONS", "Connection", "Step"]


class Step(enum.Enum):
    """What moves a connection from one state to the next."""

    SEND_CLOSE = "this end sends a Close frame"
    RECEIVE_CLOSE = "the peer's Close frame is taken"
    FAIL = "this end fails the connection"
    EOF = "the peer's bytes end"


#: The whole life of a connection, :rfc:`6455#section-7`. Nothing leaves CLOSED.
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.OPEN, Step.SEND_CLOSE): State.CLOSING,
    # The Close frame is answered in the same step.
    (State.OPEN, Step.RECEIVE_CLOSE): State.CLOSED,
    (State.OPEN, Step.FAIL): State.CLOSED,
    (State.OPEN, Step.EOF): State.CLOSED,
    (State.CLOSING, Step.RECEIVE_CLOSE): State.CLOSED,
    (State.CLOSING, Step.FAIL): State.CLOSED,
    (State.CLOSING, Step.EOF): State.CLOSED,
}

# Looking a member of an enumeration up costs more than the comparison.
_OPEN = State.OPEN
_CLOSED = State.CLOSED

#: As in :mod:`.deadlines`.
_NEVER = math.inf

#: One list for all that have none; nothing is ever put into it.
_NO_EVENTS: list[Event] = []


def random_mask_key() -> bytes:
    """Return four unpredictable bytes, :rfc:`6455#section-5.3`."""
    return os.urandom(4)


class Connection(Machine):
    """
    The state of one open WebSocket.

    No method raises on what the peer sent: the connection is failed with the
    right close code instead.

    Args:
        side: Which end this is.
        policy: Limits and intervals.
        extensions: Those that the opening handshake agreed on.
        now: The time at which the connection was opened.
        make_mask_key: Where a client's mask keys come from.

    Spec: :rfc:`6455#section-5`, §6, §7; :rfc:`7692`.
    """

    __slots__ = ("_controls_since", "_events", "_keepalive", "_next", "_parser", "outbox")

    def __init__(
        self,
        side: Side,
        policy: Policy,
        extensions: Sequence[Extension] = (),
        *,
        now: float = 0.0,
        make_mask_key: Callable[[], bytes] = random_mask_key,
    ) -> None:
        super().__init__(side, policy, now, True)
        extension = extensions[0] if extensions else None
        #: What this end says, until the network has taken it.
        self.outbox = Outbox(
            extension, make_mask_key if side is Side.CLIENT else None, policy.write_high_water
        )
        self._parser = Parser(side, policy, extension)
        self._controls_since = now
        # Incoming: events that were parsed and not taken yet, from _next on.
        self._events = _NO_EVENTS
        self._next = 0
        self._keepalive: Keepalive | None = None  # until there is a ping

    # --- receiving -------------------------------------------------------------------

    def receive_data(self, data: bytes, now: float, max_frames: int | None = None) -> None:
        """
        Take bytes from the network, in order.

        Args:
            data: Zero bytes go on with what an earlier call left: see :attr:`has_more`.
            max_frames: Parse so many frames at most; by default ``policy.turn_frames``.
        """
        self._now = now
        if self.state is _CLOSED:
            return
        parser = self._parser
        if now - self._controls_since >= 1.0:
            self._controls_since = now
            parser.controls = 0
        meter = self._meter
        events = parser.feed(data, max_frames) if meter is None else meter.feed(parser, data, max_frames, now)
        if self._events is _NO_EVENTS:
            self._events = events
        else:
            self._add(events)

    def get_room(self, size: int) -> memoryview | None:
        """
        Return where the next bytes from the network belong, so that they need not be copied there.

        It is to be let go of (``release()``) before anything else is called here.

        Args:
            size: How much is asked for at most.

        Returns:
            ``None`` when there is no such place: what comes is for :meth:`receive_data`.
        """
        return None if self.state is _CLOSED else self._parser.get_room(size)

    def room_filled(self, size: int, now: float) -> None:
        """
        Take what was read into :meth:`get_room`, as :meth:`receive_data` does.

        Args:
            size: So many bytes.
            now: The time.

        Raises:
            ValueError: There was not so much room.
        """
        self._now = now
        if self.state is _CLOSED:
            return
        meter = self._meter
        if meter is None:
            self._add(self._parser.room_filled(size))
        else:
            self._add(meter.fill(self._parser, size, now))

    def _add(self, events: list[Event]) -> None:
        if self._next < len(self._events):
            events = self._events[self._next :] + events
        self._events = events
        self._next = 0

    def receive_eof(self, now: float) -> None:
        """
        Note that the peer's bytes have ended, and read no more of them.

        What came before is still delivered, and what is queued may still be taken.
        """
        self._now = now
        self.eof_received = True
        self._check_finished()

    def has_work(self) -> bool:
        """Tell whether events wait to be taken, or bytes that were not parsed yet."""
        return self._next < len(self._events) or (
            self.state is not _CLOSED and (self._parser.error is not None or self._parser.has_more)
        )

    @property
    def has_more(self) -> bool:
        """Whether ``receive_data(b"", now)`` would go on with bytes that are here already."""
        return self.state is not _CLOSED and self._parser.has_more

    @property
    def has_events(self) -> bool:
        """Whether events wait to be taken, or an error behind the last one."""
        return self._next < len(self._events) or (
            self._parser.error is not None and self.state is not _CLOSED
        )

    def next_event(self) -> Event | None:
        """Take the oldest event, and make the reply that it asks for; ``None`` when there is none."""
        if self.state is _CLOSED:
            return None
        position = self._next
        events = self._events
        if position >= len(events):
            if events:
                self._events = _NO_EVENTS
                self._next = 0
            if self._parser.error is not None:
                error = self._parser.error
                self.fail(error.close_code, str(error), self._now)
            elif self.eof_received and not self._parser.has_more:
                self._step(Step.EOF)
            return None
        event = events[position]
        self._next = position + 1
        if type(event) is not MessageReceived:
            self._reply(event)
        return event

    def _reply(self, event: Event) -> None:
        if isinstance(event, PingReceived):
            if self.state is _OPEN:
                self.outbox.push_pong(event.data)
        elif isinstance(event, PongReceived):
            if self._keepalive is not None and self._keepalive.match(event, self._now):
                self.deadlines.pong_received()
        else:
            assert isinstance(event, CloseReceived)
            self.close_received = (event.code, event.reason)
            if self.close_sent is None:
                self.outbox.push_control(Opcode.CLOSE, pack_close(event.code))
                self.close_sent = (event.code, "")
            self._step(Step.RECEIVE_CLOSE)

    # --- sending ---------------------------------------------------------------------

    def get_queued(self) -> int:
        """Return how many bytes wait to be taken by the network."""
        return self.outbox.queued

    def get_backlog(self) -> int:
        """Return how many bytes wait: for the network, and for the end of a fragmented message."""
        return self.outbox.queued + self.outbox.held_size

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """
        Send a message in one frame.

        Args:
            data: The payload; text is UTF-8 already.

        Raises:
            ConnectionClosed: A Close frame was sent or received, or the connection is lost.
        """
        if self.state is not _OPEN:
            self._raise_closed()
        self.outbox.push_message(data, is_text)

    def send_prepared(self, message: PreparedMessage) -> None:
        """
        Send a message that goes to many; the frame is built once for all that are alike.

        Raises:
            ConnectionClosed: As :meth:`send_message`.
        """
        if self.state is not _OPEN:
            self._raise_closed()
        self.outbox.push_prepared(message)

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """
        Send one fragment of a message; other messages wait until the last one.

        Args:
            first: Whether the message begins here.
            fin: Whether it ends here.

        Raises:
            ConnectionClosed: As :meth:`send_message`.
        """
        if self.state is not _OPEN:
            self._raise_closed()
        self.outbox.push_fragment(data, is_text, first=first, fin=fin)

    def ping(self, payload: bytes = b"") -> None:
        """
        Send a ping of the application's own.

        Raises:
            ValueError: The payload is longer than 125 bytes.
            ConnectionClosed: As :meth:`send_message`.
        """
        self._send_control(Opcode.PING, payload)
        if self._keepalive is not None:  # else there is none that this one could be taken for
            self._keepalive.note_ping(bytes(payload))

    def pong(self, payload: bytes = b"") -> None:
        """
        Send a pong that nobody asked for, :rfc:`6455#section-5.5.3`.

        Raises:
            ValueError: The payload is longer than 125 bytes.
            ConnectionClosed: As :meth:`send_message`.
        """
        self._send_control(Opcode.PONG, payload)

    def _send_control(self, opcode: Opcode, payload: bytes) -> None:
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"{len(payload)} bytes in a {opcode.name}; at most {MAX_CONTROL_PAYLOAD} fit")
        if self.state is not _OPEN:
            self._raise_closed()
        self.outbox.push_control(opcode, payload)

    def close(self, code: int | None, reason: str, now: float) -> None:
        """
        Begin the closing handshake; what is queued goes out before it.

        Only messages that wait for the end of a fragmented one are forgotten, because
        it has no end now. Nothing happens when the handshake has begun already.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`.
        """
        payload = pack_close(code, reason)
        self._now = now
        if self.state is _OPEN:
            self.outbox.push_control(Opcode.CLOSE, payload)
            self.close_sent = (CloseCode.NO_STATUS_RECEIVED if code is None else code, reason)
            self._step(Step.SEND_CLOSE)
            self.deadlines.close_sent(now)

    def fail(self, code: int, reason: str, now: float, *, discard: bool = False) -> None:
        """
        Fail the connection, :rfc:`6455#section-7.1.7`: say why, and take nothing more.

        Args:
            discard: Throw away what is queued, for a peer that would not take it.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`.
        """
        payload = pack_close(code, reason)
        self._now = now
        if self.state is _CLOSED:
            return
        if discard:
            self.outbox.discard()
        self._failure = (code, reason)
        if self.close_sent is None:
            self.outbox.push_control(Opcode.CLOSE, payload)
            self.close_sent = (code, reason)
        self._step(Step.FAIL)
        if discard and not self.finished:
            self.deadlines.linger(now)

    def lose(self, reason: str) -> None:
        """Note that the connection is gone: nothing can be sent or received."""
        if self._failure is None:
            self._failure = (CloseCode.ABNORMAL_CLOSURE, reason)
        self.outbox.clear()
        self._step(Step.EOF)
        self.deadlines.end()
        self.finished = True

    def drop_oldest(self) -> bool:
        """Forget the oldest message that may be forgotten; return whether there was one."""
        return self.outbox.drop_oldest()

    def drop_newest(self) -> None:
        """Count a message that was not taken, because too much waits."""
        self.outbox.dropped += 1

    def data_to_send(self) -> Any:
        """
        Return the next bytes for the wire; the same until :meth:`data_sent` tells what became of them.

        Returns:
            Bytes-like; or a list of two or more where a large payload is among them, which is not copied.
        """
        return self.outbox.take()

    def data_sent(self, size: int, now: float) -> None:
        """
        Note that the network took the first ``size`` bytes of :meth:`data_to_send`.

        Taking fewer than there were means that it takes no more for now.
        """
        outbox = self.outbox
        is_all = outbox.sent(size)
        if not is_all or self.deadlines.write_due != _NEVER:
            self._note_sent(is_all, size, now)
        if self.state is _CLOSED and not outbox.queued:
            self.deadlines.linger(now)
            self._check_finished()

    @property
    def half_close(self) -> bool:
        """
        Whether this end's FIN is due: all is said, and the server says it first (§7.1.1).

        The socket itself is closed when :attr:`finished` tells, after the peer's FIN,
        because closing it on unread bytes would take the last Close frame away.
        """
        closed = self.state is _CLOSED and not self.outbox.queued
        return closed and (self.side is Side.SERVER or self._failure is not None)

    # --- time ------------------------------------------------------------------------

    def _send_keepalive(self, now: float) -> None:
        # One is out already. Without a time-out it may never be answered, so the next one
        # goes out all the same, but not onto a queue that nobody takes.
        keepalive = self._keepalive
        if keepalive is None:
            keepalive = self._keepalive = Keepalive()
        elif keepalive.is_unanswered and (self.policy.ping_timeout is not None or self.outbox.queued):
            return
        self.outbox.push_control(Opcode.PING, keepalive.make_ping(now))
        self.deadlines.ping_sent(now)

    # --- figures ---------------------------------------------------------------------

    @property
    def latency(self) -> float | None:
        """Time in seconds from the last keepalive ping to its pong; ``None`` until there is one."""
        keepalive = self._keepalive
        return None if keepalive is None or not keepalive.answered else keepalive.last

    def count(self) -> Counts:
        """Return what has passed so far."""
        counts = Counts()
        self._parser.count_into(counts)
        self.outbox.count_into(counts)
        if self._keepalive is not None:
            self._keepalive.count_into(counts)
        return counts

    # --- the end ---------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        state = TRANSITIONS.get((self.state, step), self.state)
        if state is self.state:
            return
        self.state = state
        self.outbox.drop_held()
        self.outbox.drop_pong()
        if state is _CLOSED:
            self._events = _NO_EVENTS
            self._next = 0
            # What is queued has the time of a closing handshake to leave; then the FIN a moment.
            if self.outbox.queued:
                self.deadlines.close_sent(self._now)
            else:
                self.deadlines.linger(self._now)
            self._check_finished()

    def _check_finished(self) -> None:
        """When both directions have ended, there is nothing to wait for."""
        if self.eof_received and self.state is _CLOSED and not self.outbox.queued:
            self.finished = True
            self.deadlines.end()
