"""
The machine: what a connection is for whoever drives it, whether the frames are ours or a server's.

A driver brings what came with :meth:`Machine.receive_data`, takes events with :meth:`Machine.next_event`,
gives away what :meth:`Machine.data_to_send` has and comes back at :meth:`Machine.next_deadline`. What is
asked for each message or turn is a method, so that the compiled build calls it as a C function.
"""

from __future__ import annotations

from typing import Any

from ..exc import ConnectionClosed
from .deadlines import Deadlines, Due
from .events import Event, MessageReceived
from .meter import Meter
from .policy import Policy
from .prepared import PreparedMessage
from .types import Buffer, CloseCode, Side, State

__all__ = ["Machine"]

# Looking a member of an enumeration up costs more than the comparison.
_OPEN = State.OPEN
_CLOSED = State.CLOSED


class Machine:
    """
    The state of one open WebSocket.

    Args:
        side: Which end this is.
        policy: Limits and intervals.
        now: The time at which the connection was opened.
        keepalive: Whether pings are this end's to send.
    """

    __slots__ = (
        "_failure",
        "_meter",
        "_now",
        "close_received",
        "close_sent",
        "deadlines",
        "eof_received",
        "finished",
        "opened_at",
        "policy",
        "side",
        "state",
    )

    #: What the peer takes, for people.
    _goods = "bytes"

    def __init__(self, side: Side, policy: Policy, now: float, keepalive: bool) -> None:
        self.side = side
        self.policy = policy
        self.state = _OPEN
        #: The ends that each side declared, as (code, reason); ``None`` until there is one.
        self.close_received: tuple[int, str] | None = None
        self.close_sent: tuple[int, str] | None = None
        #: Whether the TCP connection is to be ended now, without waiting for anything.
        self.finished = False
        #: Whether the peer says nothing more, so that there is nothing to read.
        self.eof_received = False
        self.opened_at = now
        self.deadlines = Deadlines(policy, now, keepalive=keepalive)
        self._meter = Meter.of(policy, self.deadlines, now)
        self._failure: tuple[int, str] | None = None
        self._now = now

    # --- what a driver asks for each message ---------------------------------------------

    def is_open(self) -> bool:
        """Tell whether messages may be sent."""
        return self.state is _OPEN

    def is_closed(self) -> bool:
        """Tell whether nothing more is sent or received."""
        return self.state is _CLOSED

    def has_work(self) -> bool:
        """Tell whether events wait to be taken, or bytes that were not parsed yet."""
        raise NotImplementedError

    def get_queued(self) -> int:
        """Return how many bytes wait to be taken by the network."""
        raise NotImplementedError

    def get_backlog(self) -> int:
        """Return how many bytes wait: for the network, and for the end of a fragmented message."""
        raise NotImplementedError

    def receive_data(self, data: Any, now: float, max_frames: int | None = None) -> None:
        """Take what came, in order."""
        raise NotImplementedError

    def pass_message(self, message: MessageReceived, now: float) -> Event | None:
        """Take a message that came whole, and return the oldest event, as :meth:`next_event` does."""
        raise NotImplementedError

    def get_room(self, size: int) -> memoryview | None:
        """Return where the next bytes may be read to, before :meth:`room_filled`; ``None``: nowhere."""
        return None

    def room_filled(self, size: int, now: float) -> None:
        """Take what was read into :meth:`get_room`."""
        raise NotImplementedError

    def receive_eof(self, now: float) -> None:
        """Note that nothing more comes."""
        raise NotImplementedError

    def next_event(self) -> Event | None:
        """Take the oldest event; ``None`` when there is none."""
        raise NotImplementedError

    def send_message(self, data: Buffer, is_text: bool) -> None:
        """Send a message."""
        raise NotImplementedError

    def send_prepared(self, message: PreparedMessage) -> None:
        """Send a message that goes to many."""
        raise NotImplementedError

    def send_fragment(self, data: Buffer, is_text: bool, *, first: bool, fin: bool) -> None:
        """Send one fragment of a message."""
        raise NotImplementedError

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping of the application's own."""
        raise NotImplementedError

    def pong(self, payload: bytes = b"") -> None:
        """Send a pong that nobody asked for."""
        raise NotImplementedError

    def drop_oldest(self) -> bool:
        """Forget the oldest message that may be forgotten; return whether there was one."""
        raise NotImplementedError

    def drop_newest(self) -> None:
        """Count a message that was not taken, because too much waits."""
        raise NotImplementedError

    def data_to_send(self) -> Any:
        """Return what goes out next; the same until :meth:`data_sent` tells what became of it."""
        raise NotImplementedError

    def data_sent(self, size: int, now: float) -> None:
        """Note that the first ``size`` of :meth:`data_to_send` were taken; fewer are all for now."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """Return when :meth:`handle_deadline` has something to do, or ``None``."""
        return self.deadlines.next()

    # --- the same, for people --------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Bytes that wait to be taken by the network."""
        return self.get_queued()

    @property
    def backlog(self) -> int:
        """Bytes that wait: for the network, and for the end of a fragmented message."""
        return self.get_backlog()

    @property
    def has_events(self) -> bool:
        """Whether events wait to be taken."""
        return self.has_work()

    @property
    def has_more(self) -> bool:
        """Whether ``receive_data(b"", now)`` would go on with bytes that are here already."""
        return False

    @property
    def half_close(self) -> bool:
        """Whether this end's FIN is due, before :attr:`finished` tells."""
        return False

    @property
    def latency(self) -> float | None:
        """Time in seconds from the last keepalive ping to its pong; ``None`` where nobody tells."""
        return None

    # --- time ------------------------------------------------------------------------------

    def handle_deadline(self, now: float) -> None:
        """Do what is due: a keepalive ping, or the end of a peer that let a time pass."""
        self._now = now
        policy = self.policy
        while (due := self.deadlines.take_due(now)) is not None:
            if due is Due.PING:
                self._send_keepalive(now)
            elif due is Due.PING_TIMEOUT:
                self.fail(CloseCode.INTERNAL_ERROR, f"no pong within {policy.ping_timeout:g} s", now)
            elif due is Due.IDLE_TIMEOUT:
                self.close(CloseCode.NORMAL_CLOSURE, f"no message within {policy.idle_timeout:g} s", now)
            elif due is Due.WRITE_TIMEOUT:
                self.lose(f"the peer took no {self._goods} within {policy.write_timeout:g} s")
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

    def _send_keepalive(self, now: float) -> None:
        raise NotImplementedError

    def _note_sent(self, is_all: bool, size: int, now: float) -> None:
        """Note that the network did not take all that it was given, or that it did and had not before."""
        deadlines = self.deadlines
        if not is_all:
            if size or not deadlines.is_write_blocked:
                deadlines.write_blocked(now)
        elif self.get_queued():
            deadlines.write_blocked(now)
        else:
            deadlines.write_done()

    # --- the end ---------------------------------------------------------------------------

    def close(self, code: int | None, reason: str, now: float) -> None:
        """Begin the closing handshake."""
        raise NotImplementedError

    def fail(self, code: int, reason: str, now: float, *, discard: bool = False) -> None:
        """Fail the connection: say why, and take nothing more."""
        raise NotImplementedError

    def lose(self, reason: str) -> None:
        """Note that the connection is gone: nothing can be sent or received."""
        raise NotImplementedError

    @property
    def close_code(self) -> int:
        """
        The close code of the connection, :rfc:`6455#section-7.1.5`.

        The one that was received; else the one that this end failed the connection with; else 1006.
        """
        end = self.close_received or self._failure
        return int(CloseCode.ABNORMAL_CLOSURE) if end is None else int(end[0])

    @property
    def close_reason(self) -> str:
        """The text that belongs to :attr:`close_code`."""
        end = self.close_received or self._failure
        return "Going away" if end is None else end[1]

    def _raise_closed(self) -> None:
        raise ConnectionClosed("the WebSocket is closed", self.close_code, self.close_reason)
