"""core.meter: what a peer sends, against the rates and the idle timeout; the clock is an argument."""

from __future__ import annotations

import pytest

from tests.core.wire import KEY, PING, TEXT, build_frame
from ws4py_middleware.core.deadlines import Deadlines, Due
from ws4py_middleware.core.events import CloseReceived, Event, MessageReceived
from ws4py_middleware.core.meter import Meter
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.policy import Policy, Rate
from ws4py_middleware.core.types import Side
from ws4py_middleware.exc import PolicyViolation, WebSocketException


class Metered:
    """A meter, a parser, and the deadlines that hear of messages."""

    def __init__(self, **settings: object) -> None:
        policy = Policy(ping_interval=None).replace(**settings)
        self.deadlines = Deadlines(policy, 0.0)
        meter = Meter.of(policy, self.deadlines, 0.0)
        assert meter is not None
        self.meter = meter
        self.parser = Parser(Side.SERVER, policy)

    def feed(self, data: bytes, now: float = 0.0) -> list[bytes]:
        events = self.meter.feed(self.parser, data, None, now)
        return [event.data for event in events if isinstance(event, MessageReceived)]

    def measure(self, *texts: bytes, now: float = 0.0) -> list[bytes]:
        events = self.meter.measure([MessageReceived(text, True) for text in texts], now)
        return [event.data for event in events if isinstance(event, MessageReceived)]

    def get_error(self) -> WebSocketException | None:
        return self.parser.error


def get_code(metered: Metered) -> int | None:
    error = metered.get_error()
    return None if error is None else error.close_code


def text(data: bytes) -> bytes:
    return build_frame(TEXT, data, key=KEY)


def ping() -> bytes:
    return build_frame(PING, b"", key=KEY)


def test_without_rates_and_idle_timeout_there_is_no_meter() -> None:
    assert Meter.of(Policy(), Deadlines(Policy(), 0.0), 0.0) is None


def test_messages_within_the_rate_pass() -> None:
    metered = Metered(message_rate=2)
    assert metered.feed(text(b"a") + text(b"b")) == [b"a", b"b"]
    assert metered.feed(text(b"c"), 0.5) == [b"c"]
    assert metered.feed(text(b"d") + text(b"e"), 1.5) == [b"d", b"e"]
    assert metered.get_error() is None


def test_first_message_beyond_the_rate_stops_the_parser_and_those_before_are_delivered() -> None:
    metered = Metered(message_rate=Rate(60, per=60, burst=2))
    assert metered.feed(text(b"a") + text(b"b") + text(b"c") + text(b"d")) == [b"a", b"b"]
    assert isinstance(metered.get_error(), PolicyViolation)
    assert str(metered.get_error()) == "more than 60 messages in 60 s"
    assert get_code(metered) == 1008
    assert not metered.parser.has_more
    assert metered.feed(text(b"e"), 1000.0) == []


def test_pings_are_no_messages() -> None:
    metered = Metered(message_rate=1)
    assert metered.feed(ping() * 20 + text(b"a")) == [b"a"]
    assert metered.get_error() is None


def test_bytes_count_as_they_come_and_nothing_is_parsed_of_what_is_too_much() -> None:
    metered = Metered(byte_rate=100)
    assert metered.feed(text(bytes(44))) == [bytes(44)]  # 50 with its header
    assert metered.feed(text(bytes(44))) == [bytes(44)]
    assert metered.feed(b"") == []
    assert metered.get_error() is None
    assert metered.feed(b"\x81", 0.001) == []
    assert isinstance(metered.get_error(), PolicyViolation)
    assert str(metered.get_error()) == "more than 100 bytes in 1 s"


def test_bytes_of_half_a_message_count() -> None:
    metered = Metered(byte_rate=100)
    assert metered.feed(build_frame(TEXT, bytes(1000), key=KEY)[:101]) == []
    assert metered.get_error() is not None


def test_error_of_the_parser_stays_what_it_is() -> None:
    metered = Metered(message_rate=1, byte_rate=1000)
    assert metered.feed(text(b"a") + b"\xff\xff\xff") == [b"a"]
    assert get_code(metered) == 1002
    assert metered.feed(text(b"b") * 1000) == []
    assert get_code(metered) == 1002


def test_only_messages_move_the_idle_timeout() -> None:
    metered = Metered(idle_timeout=10.0)
    metered.feed(text(b"a"), 5.0)
    metered.feed(ping(), 7.0)
    assert metered.deadlines.next() == 15.0
    assert metered.deadlines.take_due(15.0) is Due.IDLE_TIMEOUT


def test_whole_messages_are_measured_alike() -> None:
    metered = Metered(message_rate=2, byte_rate=100, idle_timeout=10.0)
    assert metered.measure(b"a", b"b", now=1.0) == [b"a", b"b"]
    assert metered.deadlines.next() == 11.0
    assert metered.measure(b"c", b"d", now=1.5) == [b"c"]
    assert str(metered.meter.error) == "more than 2 messages in 1 s"
    assert metered.measure(b"e", now=100.0) == []


@pytest.mark.parametrize("before", [0, 5])
def test_bytes_of_whole_messages_are_measured_and_the_end_always_passes(before: int) -> None:
    metered = Metered(byte_rate=100)
    texts = [b"x" * 20] * before
    assert metered.measure(*texts) == texts
    end: list[Event] = [MessageReceived(bytes(101), False), CloseReceived(1000, "")]
    assert metered.meter.measure(end, 0.0) == end[1:]
    assert str(metered.meter.error) == "more than 100 bytes in 1 s"


def test_bytes_that_were_read_into_the_room_count_too() -> None:
    metered = Metered(byte_rate=Rate(60_000, burst=60_000))
    assert metered.feed(build_frame(TEXT, b"a" * 100_000, key=KEY)[:100]) == []
    for size, code in ((50_000, None), (20_000, 1008)):
        room = metered.parser.get_room(size)
        assert room is not None
        room[:] = bytes(a ^ b for a, b in zip(b"a" * size, (KEY[2:] + KEY[:2]) * size, strict=False))
        room.release()
        assert metered.meter.fill(metered.parser, size, 0.0) == []
        assert get_code(metered) == code


def test_message_that_was_read_into_the_room_in_part_counts() -> None:
    metered = Metered(message_rate=5, idle_timeout=10.0)
    metered.feed(build_frame(TEXT, b"a" * 100_000, key=KEY)[:18])
    room = metered.parser.get_room(60_000)
    assert room is not None
    room[:] = bytes(a ^ b for a, b in zip(b"a" * len(room), KEY * len(room), strict=False))
    size = len(room)
    room.release()
    assert metered.meter.fill(metered.parser, size, 5.0) == []
    assert metered.deadlines.next() == 10.0
    assert metered.feed(build_frame(TEXT, b"a" * 100_000, key=KEY)[18 + size :], 6.0) == [b"a" * 100_000]
    assert metered.deadlines.next() == 16.0
