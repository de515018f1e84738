"""
Connections in any order of calls.

A pair that speaks through arbitrary cuts: what was sent is received, in order,
until the closing handshake, and both reach their end. And one connection with a
peer who sends anything at any time: no exception but those that are documented.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.pair import ConnectionPair
from tests.core.wire import KEY, PING, PONG, TEXT, build_frame, describe, joined
from tests.fuzz.reference import Incomplete, Limits, Reader
from tests.fuzz.reference import is_text as is_utf8
from tests.fuzz.strategies import make_deflate, payloads, texts, wild_frames
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.types import Side, State
from ws4py_middleware.exc import ConnectionClosed

sides = st.sampled_from(["client", "server"])
#: Whether both compress, and with or without context takeover; ``None``: they do not.
takeovers = st.sampled_from([None, True, False])
times = st.sampled_from([0.0, 0.01, 0.6, 3.0, 7.0, 30.0])
#: What the network takes of one piece; ``None``: all.
sizes = st.sampled_from([None, 0, 1, 2, 5, 40])
codes = st.sampled_from([None, 1000, 1001, 1011, 3000, 4999])

Message = tuple[object, ...]


class PairMachine(RuleBasedStateMachine):
    """A client and a server without any trouble but the network's cuts."""

    @initialize(keep=takeovers, frames=st.sampled_from([1, 2, 256]), size=st.sampled_from([0, 50, 1 << 20]))
    def open(self, keep: bool | None, frames: int, size: int) -> None:
        # Nobody is ever late, so that nothing may be lost.
        policy = Policy(
            turn_frames=frames,
            receive_queue_size=size,
            write_high_water=100,
            max_control_frames=None,
            ping_interval=5.0,
            ping_timeout=None,
            write_timeout=None,
            close_timeout=None,
        )
        codecs = [[] if keep is None else [make_deflate(keep)] for _ in range(2)]
        self.pair = ConnectionPair(policy, *codecs)
        self.ends = {"client": self.pair.client, "server": self.pair.server}
        self.others = {"client": self.pair.server, "server": self.pair.client}
        self.sent: dict[str, list[Message]] = {"client": [], "server": []}
        # The pieces of the fragmented message that is on its way, and the messages that wait for its end.
        self.pieces: dict[str, list[bytes]] = {"client": [], "server": []}
        self.is_text = {"client": False, "server": False}
        self.fragmenting = {"client": False, "server": False}
        self.held: dict[str, list[Message]] = {"client": [], "server": []}
        self.closers: list[tuple[str, int]] = []

    def is_open(self, side: str) -> bool:
        return self.ends[side].connection.state is State.OPEN

    @rule(side=sides, data=st.one_of(texts, payloads), is_text=st.booleans(), prepared=st.booleans())
    def send_message(self, side: str, data: bytes, is_text: bool, prepared: bool) -> None:
        is_text = is_text and is_utf8(data)
        connection = self.ends[side].connection
        try:
            if prepared:
                connection.send_prepared(PreparedMessage(data, is_text))
            else:
                connection.send_message(data, is_text)
        except ConnectionClosed:
            assert not self.is_open(side)
            return
        assert self.is_open(side)
        queue = self.held if self.fragmenting[side] else self.sent
        queue[side].append(("text" if is_text else "binary", data))

    @rule(side=sides, data=st.one_of(texts, payloads), is_text=st.booleans(), fin=st.booleans())
    def send_fragment(self, side: str, data: bytes, is_text: bool, fin: bool) -> None:
        first = not self.fragmenting[side]
        if first:
            self.is_text[side] = is_text
        if self.is_text[side] and not is_utf8(data):
            return
        connection = self.ends[side].connection
        try:
            connection.send_fragment(data, self.is_text[side], first=first, fin=fin)
        except ConnectionClosed:
            assert not self.is_open(side)
            return
        self.fragmenting[side] = not fin
        self.pieces[side].append(data)
        if fin:
            name = "text" if self.is_text[side] else "binary"
            self.sent[side] += [(name, b"".join(self.pieces[side])), *self.held[side]]
            self.pieces[side] = []
            self.held[side] = []

    @rule(side=sides, payload=st.binary(max_size=10), pong=st.booleans())
    def send_control(self, side: str, payload: bytes, pong: bool) -> None:
        connection = self.ends[side].connection
        try:
            (connection.pong if pong else connection.ping)(payload)
        except ConnectionClosed:
            assert not self.is_open(side)

    @rule(side=sides, size=sizes)
    def write(self, side: str, size: int | None) -> None:
        self.ends[side].write(self.pair.now, size)

    @rule(side=sides, size=sizes.filter(lambda size: size != 0))
    def read(self, side: str, size: int | None) -> None:
        self.ends[side].read(self.others[side], self.pair.now, size)

    @rule(side=sides)
    def take_event(self, side: str) -> None:
        self.ends[side].take_event()

    @rule(side=sides)
    def take_all_events(self, side: str) -> None:
        self.ends[side].take_events(self.pair.now)

    @rule(side=sides)
    def parse_on(self, side: str) -> None:
        self.ends[side].connection.receive_data(b"", self.pair.now)

    @rule(side=sides, pause=st.booleans())
    def pause_or_resume(self, side: str, pause: bool) -> None:
        connection = self.ends[side].connection
        if pause:
            connection.pause()
        else:
            connection.resume(self.pair.now)

    @rule(length=times)
    def let_time_pass(self, length: float) -> None:
        self.pair.now += length
        for end in self.ends.values():
            end.connection.handle_deadline(self.pair.now)

    # Rarely: most of a run is to be before the end.
    @precondition(lambda self: sum(map(len, self.sent.values())) >= 5)
    @rule(side=sides, code=codes)
    def close(self, side: str, code: int | None) -> None:
        was_open = self.is_open(side)
        self.ends[side].connection.close(code, "bye", self.pair.now)
        if was_open:
            self.closers.append((side, 1005 if code is None else code))

    @invariant()
    def accounts_are_right(self) -> None:
        if not hasattr(self, "ends"):
            return
        for side, end in self.ends.items():
            connection = end.connection
            assert connection.queued >= 0
            held = sum(len(data) for _, data in self.held[side] if isinstance(data, bytes))
            assert connection.backlog == connection.queued + (held if connection.state is State.OPEN else 0)
            if connection.finished:
                assert connection.state is State.CLOSED
            elif connection.state is State.CLOSED and not connection.queued:
                assert connection.next_deadline() is not None
            received = self.others[side].messages
            assert received == self.sent[side][: len(received)]

    def teardown(self) -> None:
        if not hasattr(self, "ends"):
            return
        # A generator that was not exhausted is ended by whoever sends it.
        for side in self.ends:
            if self.fragmenting[side] and self.is_open(side):
                self.send_fragment(side, b"", False, True)
        self.pair.settle()
        if not self.closers:
            self.close("client", 1000)
        self.pair.finish()
        for side in self.ends:
            assert self.others[side].messages == self.sent[side]
        self.check_codes()

    def check_codes(self) -> None:
        """Both ends know both Close frames, and agree on the code when there was one closer."""
        client, server = self.pair.client.connection, self.pair.server.connection
        for end, other in ((client, server), (server, client)):
            assert end.close_sent is not None
            assert other.close_received is not None
            assert end.close_sent[0] == other.close_received[0]
        for side, code in self.closers:
            assert self.others[side].connection.close_code == code
        if len(self.closers) == 1:
            assert client.close_code == server.close_code == self.closers[0][1]


class HostileMachine(RuleBasedStateMachine):
    """One connection, its driver calling anything at any time, and a peer who sends anything."""

    @initialize(
        side=st.sampled_from(Side), keep=takeovers, frames=st.sampled_from([1, 3, 256]), off=st.booleans()
    )
    def open(self, side: Side, keep: bool | None, frames: int, off: bool) -> None:
        length = None if off else 5.0
        policy = Policy(
            max_message_size=300,
            max_fragments=6,
            max_control_frames=5,
            turn_frames=frames,
            write_high_water=100,
            write_limit=1000,
            ping_interval=4.0,
            ping_timeout=length,
            write_timeout=length,
            idle_timeout=length and 20.0,
            close_timeout=5.0,
        )
        codecs = [] if keep is None else [make_deflate(keep)]
        self.deflate = keep is not None
        self.now = 0.0
        self.connection = Connection(side, policy, codecs)
        self.side = side
        self.wire = bytearray()
        self.state = State.OPEN
        self.fragmenting = False
        self.is_cut_off = False

    @rule(data=st.data(), count=st.integers(0, 4), cut=st.integers(0, 20))
    def receive_data(self, data: st.DataObject, count: int, cut: int) -> None:
        frames = [data.draw(wild_frames(self.side is Side.SERVER)) for _ in range(count)]
        wire = b"".join(frames) or data.draw(st.binary(max_size=30))
        self._receive(wire, cut)

    @rule(
        opcodes=st.lists(st.sampled_from([TEXT, PING, PING, PONG]), min_size=1, max_size=5),
        cut=st.integers(0, 7),
    )
    def receive_good_data(self, opcodes: list[int], cut: int) -> None:
        key = KEY if self.side is Side.SERVER else None
        self._receive(b"".join(build_frame(opcode, b"good", key=key) for opcode in opcodes), cut // 6)

    def _receive(self, wire: bytes, cut: int) -> None:
        if self.connection.eof_received:
            return
        self.connection.receive_data(wire[: len(wire) - cut] if cut < len(wire) else wire, self.now)

    @rule()
    def parse_on(self) -> None:
        self.connection.receive_data(b"", self.now)

    @precondition(lambda self: self.now > 6)
    @rule()
    def receive_eof(self) -> None:
        self.connection.receive_eof(self.now)

    @rule(count=st.integers(1, 5))
    def take_events(self, count: int) -> None:
        for _ in range(count):
            event = self.connection.next_event()
            if event is not None:
                describe(event)

    @rule(data=texts, is_text=st.booleans(), prepared=st.booleans())
    def send_message(self, data: bytes, is_text: bool, prepared: bool) -> None:
        try:
            if prepared:
                self.connection.send_prepared(PreparedMessage(data, is_text))
            else:
                self.connection.send_message(data, is_text)
        except ConnectionClosed:
            assert self.connection.state is not State.OPEN

    @rule(data=payloads, fin=st.booleans())
    def send_fragment(self, data: bytes, fin: bool) -> None:
        try:
            self.connection.send_fragment(data, False, first=not self.fragmenting, fin=fin)
        except ConnectionClosed:
            assert self.connection.state is not State.OPEN
        else:
            self.fragmenting = not fin

    @rule(payload=st.binary(max_size=130), pong=st.booleans())
    def send_control(self, payload: bytes, pong: bool) -> None:
        try:
            (self.connection.pong if pong else self.connection.ping)(payload)
        except ValueError:
            assert len(payload) > 125
        except ConnectionClosed:
            assert self.connection.state is not State.OPEN

    @rule(size=sizes)
    def write(self, size: int | None) -> None:
        data = joined(self.connection.data_to_send())
        assert data or not self.connection.queued
        if data:
            count = len(data) if size is None else min(size, len(data))
            self.wire += data[:count]
            self.connection.data_sent(count, self.now)

    @rule()
    def drop_oldest(self) -> None:
        before = self.connection.queued
        assert self.connection.drop_oldest() == (self.connection.queued < before)

    @rule(length=times)
    def let_time_pass(self, length: float) -> None:
        self.now += length
        was_finished = self.connection.finished
        self.connection.handle_deadline(self.now)
        self.is_cut_off = self.is_cut_off or self.connection.finished != was_finished
        deadline = self.connection.next_deadline()
        assert deadline is None or deadline > self.now

    @rule(pause=st.booleans())
    def pause_or_resume(self, pause: bool) -> None:
        if pause:
            self.connection.pause()
        else:
            self.connection.resume(self.now)

    @precondition(lambda self: self.now > 2)
    @rule(code=st.one_of(codes, st.integers(0, 5000)), fail=st.booleans(), discard=st.booleans())
    def close_or_fail(self, code: int | None, fail: bool, discard: bool) -> None:
        before = self.connection.close_sent
        try:
            if fail and code is not None:
                self.connection.fail(code, "because", self.now, discard=discard)
            else:
                self.connection.close(code, "bye", self.now)
        except ValueError:
            assert self.connection.close_sent == before

    @precondition(lambda self: self.now > 20)
    @rule()
    def lose(self) -> None:
        self.connection.lose("gone")
        self.is_cut_off = True
        assert self.connection.finished

    @invariant()
    def accounts_are_right(self) -> None:
        if not hasattr(self, "connection"):
            return
        connection = self.connection
        assert connection.state >= self.state, "nothing leads back"
        self.state = connection.state
        assert connection.queued >= 0
        assert connection.backlog >= connection.queued
        if connection.state is State.CLOSED:
            assert connection.close_sent is not None or connection.close_code == 1006
            assert not connection.has_more
            assert not connection.has_events
        if connection.finished:
            assert connection.state is State.CLOSED
            assert self.is_cut_off or not connection.queued
        elif connection.state is not State.OPEN:
            assert connection.next_deadline() is not None, "it would stay for ever"

    def teardown(self) -> None:
        if not hasattr(self, "connection"):
            return
        connection = self.connection
        connection.close(1000, "", self.now)
        began = self.now
        while not connection.finished:
            self.write(None)
            if not self.connection.queued and not self.connection.finished:
                deadline = connection.next_deadline()
                assert deadline is not None
                self.now = max(self.now, deadline)
                connection.handle_deadline(self.now)
        assert self.now - began <= 5.0 + 0.5
        self.check_wire()

    def check_wire(self) -> None:
        """What went out breaks no rule, and a Close frame is the last of it."""
        wire = bytes(self.wire)
        reader = Reader(wire, self.side is Side.CLIENT, self.deflate, Limits())
        try:
            while reader.read_frame():
                pass
        except Incomplete:
            # It was lost before a Close frame was out, at any byte.
            assert self.is_cut_off or self.connection.close_code == 1006
        else:
            assert reader.position == len(wire)


TestPair = PairMachine.TestCase
TestHostile = HostileMachine.TestCase
