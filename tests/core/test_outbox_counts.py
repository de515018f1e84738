"""The outbox: what is counted of it."""

from __future__ import annotations

from tests.core.codec import codec
from ws4py_middleware.core.counts import Counts
from ws4py_middleware.core.outbox import Outbox
from ws4py_middleware.core.types import Opcode


def count(outbox: Outbox) -> Counts:
    counts = Counts()
    outbox.count_into(counts)
    return counts


def test_messages_and_what_the_network_took_are_counted() -> None:
    outbox = Outbox(None, None, 1000)
    assert count(outbox) == Counts()
    outbox.push_message(b"12345678", True)
    outbox.push_control(Opcode.PING, b"")
    assert count(outbox) == Counts(messages_sent=1, queued_max=12)
    assert len(outbox.take()) == 12
    assert not outbox.sent(5)
    assert count(outbox) == Counts(messages_sent=1, bytes_sent=5, queued_max=12)
    outbox.clear()
    assert count(outbox) == Counts(messages_sent=1, bytes_sent=5, queued_max=12)


def test_what_waited_before_something_was_dropped_is_the_most() -> None:
    outbox = Outbox(None, None, 1000)
    outbox.push_message(b"12345678", True)
    assert outbox.drop_oldest()
    outbox.push_message(b"1", True)
    assert count(outbox) == Counts(messages_sent=2, messages_dropped=1, queued_max=10)


def test_compressed_bytes_are_counted_on_both_sides_of_compression() -> None:
    outbox = Outbox(codec(), None, 1000)
    data = b"again and again, " * 20
    outbox.push_message(data, True)
    counts = count(outbox)
    assert counts.plain_sent == len(data)
    assert 0 < counts.packed_sent < len(data)
    assert outbox.queued == 2 + counts.packed_sent
