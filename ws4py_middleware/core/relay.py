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
import math
import sys
from collections import deque
from collections.abc import Iterable, Sequence

from .counts import Counts
from .events import CloseReceived, Event, MessageReceived
from .frames import MAX_CONTROL_PAYLOAD, pack_close
from .machine import Machine
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

_NEVER = math.inf  # as in core.deadlines


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

    __slots__ = ("_text", "cost", "data", "is_text")

    def __init__(self, data: Buffer, is_text: bool) -> None:
        self.data = data if type(data) is bytes else bytes(data)
        self.is_text = is_text
        #: What it counts for in the queue.
        self.cost = len(self.data) + _ITEM_COST
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The payload of a text message; decoded once, however many it goes to."""
        return get_text(self)

    def __repr__(self) -> str:
        return f"SendMessage({self.data!r}, is_text={self.is_text})"


def make_item(data: Buffer, is_text: bool) -> SendMessage:
    """Make a :class:`SendMessage`, faster than its constructor: one is made for each message."""
    item = SendMessage.__new__(SendMessage)
    item.data = data if type(data) is bytes else bytes(data)
    item.is_text = is_text
    item.cost = len(item.data) + _ITEM_COST
    item._text = None
    return item


def get_text(item: SendMessage) -> str:
    """Return :attr:`SendMessage.text`, as :func:`make_item` makes one."""
    text = item._text
    if text is None:
        text = item._text = item.data.decode("utf-8")  # with its name, for which Cython has a C function
    return text


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


class Relay(Machine):
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
        "_bytes_received",
        "_bytes_sent",
        "_events",
        "_items",
        "_max_message_size",
        "_messages_dropped",
        "_messages_received",
        "_messages_sent",
        "_pieces",
        "_pieces_size",
        "_queued",
        "_queued_max",
        "_said_close",
    )

    _goods = "message"

    def __init__(self, policy: Policy, *, now: float = 0.0) -> None:
        super().__init__(Side.SERVER, policy, now, False)
        # What is counted; see Counts.
        self._messages_received = self._messages_sent = self._messages_dropped = 0
        self._bytes_received = self._bytes_sent = self._queued_max = 0
        limit = policy.max_message_size
        # A number in C where compiled; no message is longer than the greatest.
        self._max_message_size = -1 if limit is None or limit > sys.maxsize else limit
        self._queued = 0  # bytes that wait until the server has taken them
        self._batch: tuple[Item, ...] = ()
        self._items: deque[Item] = deque()
        self._pieces: list[bytes] = []  # of a message that comes in fragments
        self._pieces_size = 0
        self._events: deque[Event] = deque()
        self._said_close = False  # the server was given our end before it told of one

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
                self._messages_received += 1
                self._bytes_received += len(event.data)
            else:
                self.eof_received = True

    def pass_message(self, message: MessageReceived, now: float) -> Event | None:
        """Take a message, and return it at once when no other event waits, and nothing is against it."""
        size = len(message.data)
        limit = self._max_message_size
        if self._events or self._meter is not None or self.state is _CLOSED or (size > limit and limit >= 0):
            self.receive_data((message,), now)
            return self.next_event()
        self._now = now
        self._messages_received += 1
        self._bytes_received += size
        return message

    def receive_eof(self, now: float) -> None:
        """Note that the connection has ended, and nobody says how."""
        if not self.eof_received:
            self.receive_data([CloseReceived(CloseCode.ABNORMAL_CLOSURE, "")], now)

    def has_work(self) -> bool:
        """Tell whether events wait to be taken; messages come whole, so that nothing is left to be parsed."""
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

    def get_queued(self) -> int:
        """Return how many bytes wait until the server has taken them."""
        return self._queued

    def get_backlog(self) -> int:
        """Return the same; a message that is still being put together keeps nobody waiting."""
        return self._queued

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """
        Send a message.

        Raises:
            ConnectionClosed: The connection has ended, or is about to.
        """
        if self.state is not _OPEN:
            self._raise_closed()
        self._push(make_item(data, is_text))

    def send_prepared(self, message: PreparedMessage) -> None:
        """
        Send a message that goes to many; all of them share it.

        Raises:
            ConnectionClosed: As :meth:`send_message`.
        """
        if self.state is not _OPEN:
            self._raise_closed()
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
        if self.state is not _OPEN:
            self._raise_closed()
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
        if self.state is not _OPEN:
            self._raise_closed()

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
                self._messages_dropped += 1
                return True
        return False

    def drop_newest(self) -> None:
        """Count a message that was not taken, because too much waits."""
        self._messages_dropped += 1

    def data_to_send(self) -> Sequence[Item]:
        """Return what the server is to take next; the same until :meth:`data_sent` tells of it."""
        if self._batch:
            return self._batch
        count = len(self._items)
        if count == 1:
            item = self._items.popleft()
            self._batch = (item,)
            self._said_close = type(item) is SendClose
        elif count:
            batch: list[Item] = []
            size = 0
            while self._items and size < _BATCH_SIZE:
                item = self._items.popleft()
                batch.append(item)
                size += item.cost
            self._batch = tuple(batch)
            self._said_close = isinstance(batch[len(batch) - 1], SendClose)
        return self._batch

    def data_sent(self, size: int, now: float) -> None:
        """Note that the server took the first ``size`` of :meth:`data_to_send`; fewer are all for now."""
        batch = self._batch
        taken = batch if size == len(batch) else batch[:size]
        self._forget(taken)
        for item in taken:
            if type(item) is SendMessage:
                message = item
                self._bytes_sent += message.cost - _ITEM_COST
        if size:
            self._batch = () if taken is batch else batch[size:]
        if self._batch or self.deadlines.write_due != _NEVER:
            self._note_sent(not self._batch, size, now)
        self._check_finished()

    # --- figures ---------------------------------------------------------------------

    def count(self) -> Counts:
        """Return what has passed so far."""
        return Counts(
            messages_received=self._messages_received,
            messages_sent=self._messages_sent,
            messages_dropped=self._messages_dropped,
            bytes_received=self._bytes_received,
            bytes_sent=self._bytes_sent,
            queued_max=self._queued_max,
        )

    # --- the end ---------------------------------------------------------------------

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
        if self.state is _CLOSED and not self._queued:
            self.finished = True
            self.deadlines.end()

    def _push(self, item: Item) -> None:
        self._items.append(item)
        if type(item) is SendMessage:
            message = item
            self._queued += message.cost
            self._messages_sent += 1
        else:
            self._queued += item.cost
        if self._queued > self._queued_max:
            self._queued_max = self._queued

    def _forget(self, items: Iterable[Item]) -> None:
        for item in items:
            if type(item) is SendMessage:
                message = item
                self._queued -= message.cost
            else:
                self._queued -= item.cost

    def _drop_pieces(self) -> None:
        self._pieces, self._pieces_size = [], 0

    def _clear(self) -> None:
        self._items.clear()
        self._batch = ()
        self._queued = 0


def _end(code: int | None, reason: str) -> SendClose:
    code = CloseCode.NORMAL_CLOSURE if code is None else code
    return SendClose(int(code), pack_close(code, reason)[2:].decode())
