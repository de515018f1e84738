"""One WebSocket of a test, in memory or on a real server: what is sent, received, expected and broken."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from ..core.connection import Connection
from ..core.events import CloseReceived, MessageReceived, PingReceived, PongReceived
from ..core.handshake import Upgrade
from ..core.policy import Policy
from ..core.types import Side
from .clocks import Clock
from .failures import ConnectionEnded, NoMessage, Transcript, UnexpectedMessage, WrongEnd, show
from .wires import Wire

__all__ = ["WebSocketSession"]

_UNSET: Any = object()


class WebSocketSession:
    """
    The client's end of a WebSocket; :meth:`.WebSocketTestClient.connect` makes it.

    Pings are answered and the closing handshake is completed by themselves, as every client does. Times are
    seconds of the client's clock: in memory nobody waits for them.

    Attributes:
        path: What was asked for.
        subprotocol: What was agreed on, or ``None``.
        headers: Those of the 101.
        received: All messages so far, also those that were taken.
        pings: The payloads of the server's pings.
        timeout: How long is waited where nothing else is said; seconds.
    """

    def __init__(
        self,
        wire: Wire,
        clock: Clock,
        upgrade: Upgrade,
        policy: Policy,
        path: str,
        timeout: float,
        rest: bytes = b"",
    ) -> None:
        self.path = path
        self.subprotocol = upgrade.subprotocol
        self.headers = list(upgrade.headers)
        self.received: list[str | bytes] = []
        self.pings: list[bytes] = []
        self.timeout = timeout
        self.transcript = Transcript()
        self._wire = wire
        self._clock = clock
        self._conn = Connection(Side.CLIENT, policy, upgrade.extensions, now=clock())
        self._inbox: deque[str | bytes] = deque()
        self._pongs: list[bytes] = []
        self._is_reading = True
        self._is_broken = ""  # what the test has done to it
        self._is_over = False
        if rest:
            self._conn.receive_data(rest, clock())
            self._take_events()
        clock.attach(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path} {self._describe()}>"

    # --- messages ------------------------------------------------------------------------------

    def send(self, data: str | bytes) -> None:
        """
        Send a message: text, or bytes as a binary one.

        Raises:
            ConnectionEnded: The connection is closed.
        """
        self._check_open(f"to send {show(data)}")
        payload = data.encode() if isinstance(data, str) else bytes(data)
        self.transcript.sent(data)
        self._conn.send_message(payload, isinstance(data, str))
        self._clock.settle()

    def send_json(self, value: Any) -> None:
        """Send something as JSON, in a text message."""
        self.send(json.dumps(value))

    def receive(self, timeout: float | None = None) -> str | bytes:
        """
        Wait for the next message: text, or the bytes of a binary one.

        Args:
            timeout: How long; by default :attr:`timeout`.

        Raises:
            NoMessage: None came in time; a :exc:`TimeoutError`, too.
            ConnectionEnded: The connection has ended before one came; a ``ConnectionClosed``, too.
        """
        limit = self.timeout if timeout is None else timeout
        self._read_on()
        if not self._clock.run(lambda: bool(self._inbox) or self._is_over, limit):
            raise NoMessage(self._explain(f"expected a message within {limit:g} s, and none came"))
        if not self._inbox:
            raise self._ended(f"expected a message within {limit:g} s, {self._describe_end()}")
        return self._inbox.popleft()

    def receive_text(self, timeout: float | None = None) -> str:
        """Wait for the next message, which is text; else it raises :exc:`UnexpectedMessage`."""
        message = self.receive(timeout)
        if not isinstance(message, str):
            raise UnexpectedMessage(self._explain(f"expected text, and {show(message)} came"))
        return message

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Wait for the next message, which is binary; else it raises :exc:`UnexpectedMessage`."""
        message = self.receive(timeout)
        if not isinstance(message, bytes):
            raise UnexpectedMessage(self._explain(f"expected bytes, and {show(message)} came"))
        return message

    def receive_json(self, timeout: float | None = None) -> Any:
        """Wait for the next message, and return what its JSON says."""
        message = self.receive(timeout)
        try:
            return json.loads(message)
        except ValueError as error:
            raise UnexpectedMessage(
                self._explain(f"expected JSON, and {show(message)} came: {error}")
            ) from None

    def receive_waiting(self) -> list[str | bytes]:
        """Take all messages that are here by now; often none."""
        self._clock.settle()
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    def expect_nothing(self, within: float = 0.0) -> None:
        """
        Check that no message waits, and that none comes within so many seconds.

        Raises:
            UnexpectedMessage: One does.
            ConnectionEnded: The connection has ended.
        """
        self._read_on()
        if not self._inbox:
            self._clock.advance(within)
        if self._inbox:
            time = f" within {within:g} s" if within else ""
            raise UnexpectedMessage(self._explain(f"expected nothing{time}, and {show(self._inbox[0])} came"))
        if self._is_over:
            raise self._ended(f"expected silence for {within:g} s, {self._describe_end()}")

    def __iter__(self) -> Iterator[str | bytes]:
        """Return each message until the connection is closed, as :meth:`receive` does."""
        while True:
            try:
                yield self.receive()
            except ConnectionEnded:
                return

    def ping(self, payload: bytes = b"", timeout: float | None = None) -> float:
        """
        Send a ping, and wait for its pong.

        Returns:
            The seconds that it took.

        Raises:
            NoMessage: No pong came in time.
            ConnectionEnded: The connection has ended before.
        """
        limit = self.timeout if timeout is None else timeout
        self._check_open("to send a ping")
        self._read_on()
        began = self._clock()
        self.transcript.note(f"→ ping {payload!r}")
        self._pongs.clear()
        self._conn.ping(payload)
        if not self._clock.run(lambda: payload in self._pongs or self._is_over, limit):
            raise NoMessage(self._explain(f"expected a pong within {limit:g} s, and none came"))
        if payload not in self._pongs:
            raise self._ended(f"expected a pong within {limit:g} s, {self._describe_end()}")
        return self._clock() - began

    # --- the end -------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        self._clock.settle()
        return self._is_over

    @property
    def close_code(self) -> int | None:
        """The close code; 1006 when there was no closing handshake, ``None`` before the end."""
        return self._conn.close_code if self.is_closed else None

    @property
    def close_reason(self) -> str | None:
        """What was said about :attr:`close_code`; ``None`` before the end."""
        return self._conn.close_reason if self.is_closed else None

    def close(self, code: int | None = 1000, reason: str = "", timeout: float | None = None) -> None:
        """
        Close the connection, and wait until the server has answered. Again does nothing.

        Raises:
            WrongEnd: The server did not answer in time.
        """
        limit = self.timeout if timeout is None else timeout
        self._read_on()
        self._clock.settle()
        if self._is_over:
            return
        self.transcript.note(f"→ close {code} {reason!r}")
        self._conn.close(code, reason, self._clock())
        if not self._clock.run(lambda: self._is_over, limit):
            text = f"the closing handshake was not answered within {limit:g} s"
            raise WrongEnd(self._explain(text))
        self._clock.advance(0)  # the handler hears of it

    def expect_close(
        self, code: int | None = None, reason: str | None = None, timeout: float | None = None
    ) -> tuple[int, str]:
        """
        Wait for the end of the connection, and check how it ended.

        Args:
            code: The close code; ``None``: any.
            reason: The text that belongs to it; ``None``: any.
            timeout: How long; by default :attr:`timeout`.

        Returns:
            The code and the reason.

        Raises:
            WrongEnd: It has ended otherwise, or not at all.
        """
        limit = self.timeout if timeout is None else timeout
        self._read_on()
        wanted = "to be closed" if code is None else f"to be closed with {_end(code, reason)}"
        if not self._clock.run(lambda: self._is_over, limit):
            raise WrongEnd(self._explain(f"expected {wanted} within {limit:g} s, and it is open"))
        end = self._conn.close_code, self._conn.close_reason
        if (code is not None and end[0] != code) or (reason is not None and end[1] != reason):
            raise WrongEnd(self._explain(f"expected {wanted}, {self._describe_end()}"))
        return end

    def __enter__(self) -> WebSocketSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and not self._is_broken:
                self.close()
        finally:
            self.cut()

    # --- faults --------------------------------------------------------------------------------

    def stop_reading(self, window: int = 64 * 1024) -> None:
        """
        Read nothing from now on, pings included.

        Args:
            window: So many bytes are taken by the network all the same; then the server's own queue fills.
                A real network takes what it likes.
        """
        self._clock.settle()
        self.transcript.note("(reading stops)")
        self._is_reading = False
        self._wire.stop(window)

    def resume_reading(self) -> None:
        """Read on."""
        if not self._is_reading:
            self._is_reading = True
            self.transcript.note("(reading goes on)")
            self._clock.settle()

    @contextlib.contextmanager
    def not_reading(self, window: int = 64 * 1024) -> Iterator[WebSocketSession]:
        """Read nothing inside of the block, as :meth:`stop_reading`."""
        self.stop_reading(window)
        try:
            yield self
        finally:
            self.resume_reading()

    def send_half(self, data: str | bytes) -> None:
        """Send the first half of a frame, and nothing any more: a peer that dies in the middle of a word."""
        self._check_open("to send half a frame")
        # Another machine of the same kind builds it; this one has nothing more to say.
        builder = Connection(Side.CLIENT, self._conn.policy, now=self._clock())
        builder.send_message(data.encode() if isinstance(data, str) else bytes(data), isinstance(data, str))
        frame = _join(builder.data_to_send())
        self.transcript.note(f"→ the first half of {show(data)}")
        self._is_broken = "half a frame was sent, and nothing can come behind it"
        self._wire.write(frame[: max(len(frame) // 2, 1)])
        self._clock.settle()

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, such as a frame that breaks the rules."""
        self.transcript.note(f"→ the bytes {show(data)}")
        self._wire.write(data)
        self._clock.settle()

    def cut(self) -> None:
        """End the connection without a word, as a process does that is killed. Again does nothing."""
        self._break("the connection was cut", self._wire.cut)

    def reset(self) -> None:
        """Drop the connection with a reset, as a machine does that has forgotten it. Again does nothing."""
        self._break("the connection was reset", self._wire.reset)

    def _break(self, what: str, action: Any) -> None:
        if not self._is_over:
            self.transcript.note(f"({what})")
            self._is_broken = what
            self._conn.lose(what)
        self._is_over = True
        action()
        self._clock.advance(0)
        self._clock.detach(self)

    # --- an actor ------------------------------------------------------------------------------

    def step(self) -> bool:
        """Read and answer what has come, and send what is to be sent."""
        moved = self._read()
        if not self._is_broken and (data := _join(self._conn.data_to_send())):
            self._wire.write(data)
            self._conn.data_sent(len(data), self._clock())
            moved = True
        has_ended = self._conn.finished or (self._conn.is_closed() and self._conn.eof_received)
        if has_ended and not self._is_over:
            self._is_over = moved = True
            self._wire.cut()
        return moved

    def next_deadline(self) -> float | None:
        """It waits for nothing but the test."""
        return None

    def is_busy(self) -> bool:
        """It has no thread."""
        return False

    def fileno(self) -> int:
        """Return the descriptor, as long as something is read from it."""
        return self._wire.fileno() if self._is_reading and not self._is_over else -1

    def _read(self) -> bool:
        if not self._is_reading or self._is_over:
            return False
        try:
            data = self._wire.read()
        except ConnectionResetError as error:
            reason = error.strerror or str(error)
            self.transcript.note(f"({reason})")
            self._conn.lose(reason)
            return True
        if data is None:
            return False
        if data:
            self._conn.receive_data(data, self._clock())
        else:
            if self._conn.eof_received:
                return False
            self._conn.receive_eof(self._clock())
        self._take_events()
        return True

    def _take_events(self) -> None:
        while True:
            while (event := self._conn.next_event()) is not None:
                self._take(event)
            if not self._conn.has_more:
                return
            self._conn.receive_data(b"", self._clock())

    def _take(self, event: Any) -> None:
        if isinstance(event, MessageReceived):
            message = event.data.decode() if event.is_text else bytes(event.data)
            self.transcript.received(message)
            self.received.append(message)
            self._inbox.append(message)
        elif isinstance(event, PingReceived):
            self.transcript.note("← ping")
            self.pings.append(bytes(event.data))
        elif isinstance(event, PongReceived):
            self.transcript.note("← pong")
            self._pongs.append(bytes(event.data))
        elif isinstance(event, CloseReceived):
            self.transcript.note(f"← close {event.code} {event.reason!r}")

    # --- what is said --------------------------------------------------------------------------

    def _read_on(self) -> None:
        if not self._is_reading:
            raise RuntimeError("this connection does not read; resume_reading() first")

    def _check_open(self, what: str) -> None:
        self._clock.settle()
        if self._is_over or not self._conn.is_open():
            raise self._ended(f"expected {what}, {self._describe_end()}")
        if self._is_broken:
            raise RuntimeError(self._is_broken)

    def _ended(self, text: str) -> ConnectionEnded:
        return ConnectionEnded(self._explain(text), self._conn.close_code, self._conn.close_reason)

    def _describe(self) -> str:
        return f"closed with {self._conn.close_code}" if self._is_over else "open"

    def _describe_end(self) -> str:
        code, reason = self._conn.close_code, self._conn.close_reason
        if self._is_broken:
            return self._is_broken
        if self._conn.close_received is None:
            return f"the connection was lost without a closing handshake ({_end(code, reason)})"
        return f"the peer closed with {_end(code, reason)}"

    def _explain(self, text: str) -> str:
        return f"{self.path}: {text}; so far:\n{self.transcript}"


def _end(code: int, reason: str | None) -> str:
    return f"{code} {reason!r}" if reason else str(code)


def _join(data: Any) -> bytes:
    return b"".join(data) if isinstance(data, list) else bytes(data)
