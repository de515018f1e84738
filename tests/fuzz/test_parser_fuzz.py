"""P26: any split of the bytes gives the same events; garbage gives the right close code and nothing else."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from tests.core.wire import describe, joined
from tests.fuzz.reference import Limits, Outcome, read_stream
from tests.fuzz.strategies import Stream, broken_streams, cuts, make_deflate, streams, wild_frames
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.types import Side, State

#: Small enough for the fuzzers to come across them.
LIMITS = Limits(message_size=300, fragments=6, controls=5)
POLICY = Policy(max_message_size=300, max_fragments=6, max_control_frames=5)

turn_frames = st.sampled_from([1, 2, 3, 256])
queue_sizes = st.sampled_from([0, 100, 1 << 20])


def parse(stream: Stream, policy: Policy, pieces: list[bytes]) -> Outcome:
    """Feed the parser piece by piece, each until it wants more bytes."""
    side = Side.SERVER if stream.masked else Side.CLIENT
    parser = Parser(side, policy, make_deflate() if stream.deflate else None)
    events = []
    for piece in pieces:
        events += parser.feed(piece)
        for _ in range(len(stream.wire) + 1):
            if not parser.has_more:
                break
            events += parser.feed(b"")
        assert not parser.has_more, "it would spin"
    assert parser.feed(b"") == []
    code = None if parser.error is None else parser.error.close_code
    return Outcome([describe(parsed) for parsed in events], code)


def connect(stream: Stream, policy: Policy, pieces: list[bytes], taken: list[bool]) -> Outcome:
    """Bring the pieces to a connection, and take events now and then."""
    side = Side.SERVER if stream.masked else Side.CLIENT
    connection = Connection(side, policy, [make_deflate()] if stream.deflate else [])
    events = []

    def take_all() -> None:
        while True:
            while (taken_event := connection.next_event()) is not None:
                events.append(describe(taken_event))
            if not connection.has_more:
                break
            connection.receive_data(b"", 0.0)

    for index, piece in enumerate(pieces):
        connection.receive_data(piece, 0.0)
        if taken and taken[index % len(taken)]:
            take_all()
    connection.receive_eof(0.0)
    take_all()
    assert connection.state is State.CLOSED
    assert connection.finished == (not connection.queued)
    code = None
    if connection.close_received is None and connection.close_code != 1006:
        code = connection.close_code
        assert connection.close_sent is not None
        assert connection.close_sent[0] == code
    while data := joined(connection.data_to_send()):
        connection.data_sent(len(data), 0.0)
    assert connection.finished
    return Outcome(events, code)


@given(streams(), st.data(), turn_frames, queue_sizes)
def test_any_split_gives_the_events_that_were_sent(
    stream: Stream, data: st.DataObject, frames: int, size: int
) -> None:
    policy = Policy(turn_frames=frames, receive_queue_size=size, max_control_frames=None)
    expected = Outcome(stream.events, None)
    assert parse(stream, policy, [stream.wire]) == expected
    pieces = data.draw(cuts(stream.wire))
    assert parse(stream, policy, pieces) == expected
    taken = data.draw(st.lists(st.booleans(), max_size=5))
    assert connect(stream, policy, pieces, taken) == expected


@given(streams())
def test_reference_agrees_with_what_was_sent(stream: Stream) -> None:
    """Who guards the guards."""
    outcome = read_stream(stream.wire, masked=stream.masked, deflate=stream.deflate, limits=Limits())
    assert outcome == Outcome(stream.events, None)


def check(stream: Stream, data: st.DataObject, policy: Policy) -> None:
    expected = read_stream(stream.wire, masked=stream.masked, deflate=stream.deflate, limits=LIMITS)
    event(f"close code {expected.code}")
    assert parse(stream, policy, [stream.wire]) == expected
    pieces = data.draw(cuts(stream.wire))
    assert parse(stream, policy, pieces) == expected
    taken = data.draw(st.lists(st.booleans(), max_size=5))
    assert connect(stream, policy, pieces, taken) == expected


@given(broken_streams(), st.data(), turn_frames, queue_sizes)
def test_broken_stream_gives_the_right_close_code(
    stream: Stream, data: st.DataObject, frames: int, size: int
) -> None:
    check(stream, data, POLICY.replace(turn_frames=frames, receive_queue_size=size))


@given(st.binary(max_size=200), st.booleans(), st.booleans(), st.data(), turn_frames)
def test_garbage_gives_the_right_close_code(
    wire: bytes, masked: bool, deflate: bool, data: st.DataObject, frames: int
) -> None:
    check(Stream(wire, [], masked, deflate), data, POLICY.replace(turn_frames=frames))


@given(st.booleans(), st.booleans(), st.data(), turn_frames)
def test_wild_frames_give_the_right_close_code(
    masked: bool, deflate: bool, data: st.DataObject, frames: int
) -> None:
    wire = b"".join(data.draw(st.lists(wild_frames(masked), max_size=12)))
    check(Stream(wire, [], masked, deflate), data, POLICY.replace(turn_frames=frames))
