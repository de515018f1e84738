"""The parser: what is counted of it."""

from __future__ import annotations

from tests.core.codec import codec, deflate
from tests.core.wire import BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, build_frame
from ws4py_middleware.core.counts import Counts
from ws4py_middleware.core.parser import Parser
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.types import Side


def count(parser: Parser) -> Counts:
    counts = Counts()
    parser.count_into(counts)
    return counts


def test_whole_messages_and_all_bytes_are_counted() -> None:
    parser = Parser(Side.SERVER, Policy())
    wire = [
        build_frame(TEXT, b"on", fin=False, key=KEY),
        build_frame(PING, b"", key=KEY),
        build_frame(PONG, b"", key=KEY),
        build_frame(CONT, b"e", key=KEY),
        build_frame(BINARY, b"two", key=KEY),
        build_frame(CLOSE, b"", key=KEY),
    ]
    messages = []
    for frame in wire:
        parser.feed(frame)
        messages.append(count(parser).messages_received)
    assert messages == [0, 0, 0, 1, 2, 2]
    assert count(parser) == Counts(messages_received=2, bytes_received=sum(map(len, wire)))


def test_what_came_before_an_error_is_counted() -> None:
    parser = Parser(Side.SERVER, Policy())
    parser.feed(build_frame(TEXT, b"fine", key=KEY) + build_frame(TEXT, b"unmasked"))
    assert parser.error is not None
    assert count(parser).messages_received == 1


def test_compressed_bytes_are_counted_on_both_sides_of_compression() -> None:
    parser = Parser(Side.CLIENT, Policy(), codec())
    data = b"again and again, " * 10
    payload = deflate(data)
    parser.feed(build_frame(TEXT, payload, rsv=4) + build_frame(TEXT, b"as it is"))
    counts = count(parser)
    assert (counts.packed_received, counts.plain_received) == (len(payload), len(data))
    assert counts.messages_received == 2
