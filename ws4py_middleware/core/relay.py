"""
The relay: one WebSocket whose protocol somebody else speaks, such as an ASGI server.

It has the place of :class:`~.connection.Connection` where the unit of the wire is a whole
message: a driver brings :class:`~.events.MessageReceived` and, at the end, one
:class:`~.events.CloseReceived`; what it takes away are :class:`SendMessage` and
:class:`SendClose`. Limits, queue, closing handshake and deadlines are the same; frames,
pings, pongs and compression are the server's business.
"""

from __future__ import annotations

import enum
import functools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..exc import ConnectionClosed
from .counts import Counts
from .deadlines import Deadlines, Due
from .events import CloseReceived, Event, MessageReceived
from .frames import MAX_CONTROL_PAYLOAD, pack_close
from .meter import Meter
from .policy import Policy
from .prepared import PreparedMessage
from .types import Buffer, CloseCode, Side, State

__all__ = ["TRANSITIONS", "Relay", "SendClose", "SendMessage", "Step"]

#: What is taken at once holds about so many bytes: the time for it is ``policy.write_timeout``.
_BATCH_SIZE = 64 * 1024

#: What a message costs beside its bytes, so that empty ones count, too.
_ITEM_COST = 64

_OPEN = State.OPEN
_CLOSED = State.CLOSED


class Step(enum.Enum):
    """What moves a relayed connection from one state to the next."""

    SEND_CLOSE = "this end begins the closing handshake"
    DISCONNECT = "the server tells that the connection has ended"
    FAIL = "this end fails the connection"
    LOSE = "the connection is gone"


#: The whole life of a relayed connection. Nothing leaves CLOSED.
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.OPEN, Step.SEND_CLOSE): State.CLOSING,
    (State.OPEN, Step.DISCONNECT): State.CLOSED,
    (State.OPEN, Step.FAIL): State.CLOSED,
    (State.OPEN, Step.LOSE): State.CLOSED,
    (State.CLOSING, Step.DISCONNECT): State.CLOSED,
    (State.CLOSING, Step.FAIL): State.CLOSED,
    (State.CLOSING, Step.LOSE): State.CLOSED,
}


class SendMessage:
    """A message that is to be sent; one for all connections that it goes to."""

    __slots__ = ("__dict__", "data", "is_text")

    def __init__(self, data: Buffer, is_text: bool) -> None:
        self.data = data if isinstance(data, bytes) else bytes(data)
        self.is_text = is_text

    @functools.cached_property
    def text(self) -> str:
        """The payload of a text message; decoded once, however many it goes to."""
        return self.data.decode()

    @property
    def cost(self) -> int:
        """What it counts for in the queue."""
        return len(self.data) + _ITEM_COST

    def __repr__(self) -> str:
        return f"SendMessage({self.data!r}, is_text={self.is_text})"


class SendClose:
    """The end, which the server is to tell the peer."""

    __slots__ = ("code", "reason")

    cost = _ITEM_COST

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    def __repr__(self) -> str:
        return f"SendClose({self.code}, {self.reason!r})"


Item = SendMessage | SendClose


class Relay:
    """
    The state of one open WebSocket that a server relays.

    Its attributes are those of :class:`~.connection.Connection`. No method raises on what
    the peer sent.

    Args:
        policy: Limits and intervals; those of frames and pings are not used.
        now: The time at which the connection was opened.
    """

    __slots__ = (
        "_batch",
        "_counts",
        "_events",
        "_failure",
        "_items",
        "_meter",
        "_now",
        "_pieces",
        "_pieces_size",
        "_said_close",
        "close_received",
        "close_sent",
        "deadlines",
        "eof_received",
        "finished",
        "opened_at",
        "policy",
        "queued",
        "side",
        "state",
    )

    #: Nobody tells how long a ping of the server's own takes.
    latency: float | None = None
    #: There is no FIN of this end's own: the server ends the TCP connection.
    half_close = False
    #: Messages come whole, so that nothing is left to be parsed.
    has_more = False

    def __init__(self, policy: Policy, *, now: float = 0.0) -> None:
        self.side = Side.SERVER
        self.policy = policy
        self.state = _OPEN
        #: The ends that each side declared, as (code, reason); ``None`` until there is one.
        self.close_received: tuple[int, str] | None = None
        self.close_sent: tuple[int, str] | None = None
        #: Whether there is nothing more to wait for.
        self.finished = False
        #: Whether the peer says nothing more, so that there is nothing to read.
        self.eof_received = False
        self.opened_at = now
        self._counts = Counts()
        self.deadlines = Deadlines(policy, now, keepalive=False)
        #: Bytes that wait until the server has taken them.
        self.queued = 0
        self._batch: tuple[Item, ...] = ()
        self._items: deque[Item] = deque()
        self._pieces: list[bytes] = []  # of a message that comes in fragments
        self._pieces_size = 0
        self._events: deque[Event] = deque()
        self._meter = Meter.of(policy, self.deadlines, now)
        self._failure: tuple[int, str] | None = None
        self._said_close = False  # the server was given our end before it told of one
        self._now = now

    # --- receiving -------------------------------------------------------------------

    def receive_data(self, data: Iterable[Event], now: float, max_frames: int | None = None) -> None:
        """
        Take what the server has received, in order.

        Args:
            data: Messages; a :class:`~.events.CloseReceived` is the last.
            max_frames: Not used; who brings messages brings no more than there is room for.
        """
        self._now = now
        if self.state is _CLOSED:
            return
        if self._meter is not None:
            data = self._meter.measure(data, now)
        for event in data:
            self._events.append(event)
            if isinstance(event, MessageReceived):
                self._counts.messages_received += 1
                self._counts.bytes_received += len(event.data)
            else:
                self.eof_received = True

    def receive_eof(self, now: float) -> None:
        """Note that the connection has ended, and nobody says how."""
        if not self.eof_received:
            self.receive_data([CloseReceived(CloseCode.ABNORMAL_CLOSURE, "")], now)

    @property
    def has_events(self) -> bool:
        """Whether events wait to be taken."""
        if self._events or self._meter is None or self._meter.error is None:
            return bool(self._events)
        return self.state is not _CLOSED

    def next_event(self) -> Event | None:
        """Take the oldest event; ``None`` when there is none."""
        if self.state is _CLOSED:
            return None
        if not self._events:
            if self._meter is not None and self._meter.error is not None:
                self.fail(self._meter.error.close_code, str(self._meter.error), self._now)
            return None
        event = self._events.popleft()
        limit = self.policy.max_message_size
        if isinstance(event, CloseReceived):
            self._disconnect(event)
        elif isinstance(event, MessageReceived) and limit is not None and len(event.data) > limit:
            reason = f"a message of {len(event.data)} bytes, more than {limit}"
            self.fail(CloseCode.MESSAGE_TOO_BIG, reason, self._now)
            return None
        return event

    def _disconnect(self, event: CloseReceived) -> None:
        if self._said_close:
            # What servers report after an end of ours is the peer's answer, or 1000, 1005, 1006 or 1012.
            self.close_received = self.close_sent
        else:
            self.close_received = (event.code, event.reason)
        self._step(Step.DISCONNECT)
        self._clear()
        self.deadlines.end()
        self.finished = True

    # --- sending ---------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes that wait; a message that is still being put together keeps nobody waiting."""
        return self.queued

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """
        Send a message.

        Raises:
            ConnectionClosed: The connection has ended, or is about to.
        """
        self._check_open()
        self._push(SendMessage(data, is_text))

    def send_prepared(self, message: PreparedMessage) -> None:
        """
        Send a message that goes to many; all of them share it.

        Raises:
            ConnectionClosed: As :meth:`send_message`.
        """
        self._check_open()
        item = message.relayed
        if not isinstance(item, SendMessage):
            item = message.relayed = SendMessage(message.data, message.is_text)
        self._push(item)

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """
        Add one fragment to a message, which is sent with the last one; others may overtake it.

        Raises:
            ConnectionClosed: As :meth:`send_message`.
            ValueError: All fragments together are more than ``policy.write_limit``; they are forgotten.
        """
        self._check_open()
        if first:
            self._drop_pieces()
        self._pieces.append(bytes(data))
        self._pieces_size += len(data)
        if self._pieces_size > self.policy.write_limit:
            self._drop_pieces()
            raise ValueError(
                f"the fragments of a message are more than {self.policy.write_limit} bytes; an ASGI server "
                "takes whole messages only, so send several, or raise write_limit"
            )
        if fin:
            whole = b"".join(self._pieces)
            self._drop_pieces()
            self._push(SendMessage(whole, is_text))

    def ping(self, payload: bytes = b"") -> None:
        """
        Do nothing: pings are the server's business.

        Raises:
            ValueError: The payload is longer than 125 bytes.
            ConnectionClosed: As :meth:`send_message`.
        """
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"{len(payload)} bytes in a ping or pong; at most {MAX_CONTROL_PAYLOAD} fit")
        self._check_open()

    def pong(self, payload: bytes = b"") -> None:
        """Do nothing, as :meth:`ping`."""
        self.ping(payload)

    def close(self, code: int | None, reason: str, now: float) -> None:
        """
        Begin the closing handshake; what is queued goes out before it. Again does nothing.

        Args:
            code: Without one the server says 1000.
            reason: Cut to 123 bytes.
            now: The time.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`.
        """
        end = _end(code, reason)
        self._now = now
        if self.state is _OPEN:
            self._push(end)
            self.close_sent = (end.code, reason)
            self._step(Step.SEND_CLOSE)
            self.deadlines.close_sent(now)

    def fail(self, code: int, reason: str, now: float, *, discard: bool = False) -> None:
        """
        Fail the connection: say why, and take nothing more.

        Args:
            code: What the peer is told.
            reason: What is said about it.
            now: The time.
            discard: Throw away what is queued, for a peer that would not take it.

        Raises:
            ValueError: The code may not be sent, :rfc:`6455#section-7.4`.
        """
        end = _end(code, reason)
        self._now = now
        if self.state is _CLOSED:
            return
        if discard:
            self._forget(self._items)
            self._items.clear()
        self._failure = (code, reason)
        if self.close_sent is None:
            self._push(end)
            self.close_sent = (code, reason)
        self._step(Step.FAIL)
        if discard and not self.finished:
            self.deadlines.linger(now)

    def lose(self, reason: str) -> None:
        """Note that the connection is gone: nothing can be sent or received."""
        if self._failure is None:
            self._failure = (CloseCode.ABNORMAL_CLOSURE, reason)
        self._clear()
        self._step(Step.LOSE)
        self.deadlines.end()
        self.finished = True

    def drop_oldest(self) -> bool:
        """Forget the oldest message that the server was not given; return whether there was one."""
        for index, item in enumerate(self._items):
            if isinstance(item, SendMessage):
                del self._items[index]
                self._forget([item])
                self._counts.messages_dropped += 1
                return True
        return False

    def drop_newest(self) -> None:
        """Count a message that was not taken, because too much waits."""
        self._counts.messages_dropped += 1

    def data_to_send(self) -> Sequence[Item]:
        """Return what the server is to take next; the same until :meth:`data_sent` tells of it."""
        if not self._batch and self._items:
            size = count = 0
            for item in self._items:
                count += 1
                size += item.cost
                if size >= _BATCH_SIZE:
                    break
            self._batch = tuple(self._items.popleft() for _ in range(count))
            self._said_close = isinstance(self._batch[-1], SendClose)
        return self._batch

    def data_sent(self, size: int, now: float) -> None:
        """Note that the server took the first ``size`` of :meth:`data_to_send`; fewer are all for now."""
        deadlines = self.deadlines
        taken = self._batch[:size]
        self._forget(taken)
        self._counts.bytes_sent += sum(len(item.data) for item in taken if isinstance(item, SendMessage))
        self._batch = self._batch[size:]
        if not self._batch:
            if deadlines.is_write_blocked:
                if self.queued:
                    deadlines.write_blocked(now)
                else:
                    deadlines.write_done()
            self._check_finished()
        elif size or not deadlines.is_write_blocked:
            deadlines.write_blocked(now)

    # --- time ------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_deadline` has something to do, or ``None``."""
        return self.deadlines.next()

    def handle_deadline(self, now: float) -> None:
        """Do what is due: the end of a peer that let a time pass."""
        self._now = now
        policy = self.policy
        while (due := self.deadlines.take_due(now)) is not None:
            if due is Due.IDLE_TIMEOUT:
                self.close(CloseCode.NORMAL_CLOSURE, f"no message within {policy.idle_timeout:g} s", now)
            elif due is Due.WRITE_TIMEOUT:
                self.lose(f"the peer took no message within {policy.write_timeout:g} s")
            elif self.state is _CLOSED:
                self.finished = True
            else:
                self.lose(f"the closing handshake did not end within {policy.close_timeout:g} s")

    def pause(self) -> None:
        """Note that nothing is read for now; the peer is not blamed for what is not seen meanwhile."""
        self.deadlines.pause(self._now)

    def resume(self, now: float) -> None:
        """Note that reading goes on."""
        self.deadlines.resume(now)

    def count(self) -> Counts:
        """Return what has passed so far."""
        return replace(self._counts)

    # --- the end ---------------------------------------------------------------------

    @property
    def close_code(self) -> int:
        """
        The close code of the connection.

        This end's own, if the server was given that before it told of the end; else what the server
        reports; else the one that this end failed the connection with; else 1006.
        """
        end = self.close_received or self._failure
        return int(CloseCode.ABNORMAL_CLOSURE) if end is None else int(end[0])

    @property
    def close_reason(self) -> str:
        """The text that belongs to :attr:`close_code`."""
        end = self.close_received or self._failure
        return "Going away" if end is None else end[1]

    def _step(self, step: Step) -> None:
        state = TRANSITIONS.get((self.state, step), self.state)
        if state is self.state:
            return
        self.state = state
        self._drop_pieces()
        if state is _CLOSED:
            self._events.clear()
            # What is queued has the time of a closing handshake to leave.
            self.deadlines.close_sent(self._now)
            self._check_finished()

    def _check_finished(self) -> None:
        """When all is said, there is nothing to wait for: the closing handshake is the server's."""
        if self.state is _CLOSED and not self.queued:
            self.finished = True
            self.deadlines.end()

    def _push(self, item: Item) -> None:
        self._items.append(item)
        self.queued += item.cost
        counts = self._counts
        counts.messages_sent += isinstance(item, SendMessage)
        counts.queued_max = max(counts.queued_max, self.queued)

    def _forget(self, items: Iterable[Item]) -> None:
        self.queued -= sum(item.cost for item in items)

    def _drop_pieces(self) -> None:
        self._pieces, self._pieces_size = [], 0

    def _clear(self) -> None:
        self._items.clear()
        self._batch = ()
        self.queued = 0

    def _check_open(self) -> None:
        if self.state is not _OPEN:
            raise ConnectionClosed("the WebSocket is closed", self.close_code, self.close_reason)


def _end(code: int | None, reason: str) -> SendClose:
    code = CloseCode.NORMAL_CLOSURE if code is None else code
    return SendClose(int(code), pack_close(code, reason)[2:].decode())
