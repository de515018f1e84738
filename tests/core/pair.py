"""Two connections that speak to each other; the network between them is two byte arrays and the test."""

from __future__ import annotations

from collections.abc import Sequence

from tests.core.wire import KEY, describe, joined
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.extensions.base import Extension
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.types import Side, State


class End:
    """One connection, its driver in a few lines, and what it has seen."""

    def __init__(
        self, side: Side, policy: Policy, extensions: Sequence[Extension] = (), now: float = 0.0
    ) -> None:
        self.connection = Connection(side, policy, extensions, now=now, make_mask_key=lambda: KEY)
        #: Sent by this end, and not yet brought to the other one.
        self.wire = bytearray()
        #: Whether this end's FIN is on its way, or arrived.
        self.fin_sent = False
        #: Whether the peer's FIN arrived.
        self.fin_received = False
        self.events: list[tuple[object, ...]] = []

    @property
    def messages(self) -> list[tuple[object, ...]]:
        return [event for event in self.events if event[0] in ("text", "binary")]

    def take_event(self) -> tuple[object, ...] | None:
        event = self.connection.next_event()
        if event is None:
            return None
        self.events.append(describe(event))
        return self.events[-1]

    def take_events(self, now: float) -> None:
        """Take all events, also those for which parsing has to go on."""
        while True:
            while self.take_event() is not None:
                pass
            if not self.connection.has_more:
                break
            self.connection.receive_data(b"", now)

    def write(self, now: float, size: int | None = None) -> int:
        """Let the network take ``size`` bytes of one piece, or all bytes of all pieces."""
        connection = self.connection
        taken = 0
        while data := joined(connection.data_to_send()):
            count = len(data) if size is None else min(size, len(data))
            self.wire += data[:count]
            connection.data_sent(count, now)
            taken += count
            if size is not None:
                break
        assert connection.queued >= 0
        assert size is not None or connection.queued == 0
        if (connection.half_close or connection.finished) and not connection.queued:
            self.fin_sent = True
        return taken

    def read(self, other: End, now: float, size: int | None = None) -> None:
        """Take ``size`` bytes of what the other end has sent, or all of them, and its FIN behind them."""
        data = bytes(other.wire[:size])
        del other.wire[: len(data)]
        if data:
            self.connection.receive_data(data, now)
        elif other.fin_sent and not other.wire and not self.fin_received:
            self.fin_received = True
            self.connection.receive_eof(now)


class ConnectionPair:
    """A client and a server."""

    def __init__(
        self,
        policy: Policy | None = None,
        client_extensions: Sequence[Extension] = (),
        server_extensions: Sequence[Extension] = (),
    ) -> None:
        policy = policy or Policy()
        self.now = 0.0
        self.client = End(Side.CLIENT, policy, client_extensions)
        self.server = End(Side.SERVER, policy, server_extensions)

    def settle(self) -> None:
        """Move everything in both directions until nothing moves."""
        for _ in range(1000):
            before = self._progress()
            for end, other in ((self.client, self.server), (self.server, self.client)):
                end.write(self.now)
                other.read(end, self.now)
                other.take_events(self.now)
            if self._progress() == before:
                return
        raise AssertionError("the two never come to rest")

    def finish(self) -> None:
        """Settle, and let the time pass that the ends still want to wait; both are finished then."""
        self.settle()
        for _ in range(100):
            deadlines = [
                time
                for end in (self.client, self.server)
                if not end.connection.finished and (time := end.connection.next_deadline()) is not None
            ]
            if not deadlines:
                break
            self.now = max(self.now, min(deadlines))
            for end in (self.client, self.server):
                end.connection.handle_deadline(self.now)
            self.settle()
        for end in (self.client, self.server):
            assert end.connection.finished
            assert end.connection.state is State.CLOSED
            assert end.connection.queued == 0
            assert end.connection.next_deadline() is None

    def _progress(self) -> tuple[object, ...]:
        return tuple(
            (
                len(end.events),
                len(end.wire),
                end.connection.queued,
                end.fin_sent,
                end.fin_received,
                end.connection.state,
            )
            for end in (self.client, self.server)
        )
