"""core.relay: a peer that sends more than it may, behind a server that speaks the protocol."""

from __future__ import annotations

from tests.core.relays import disconnect, ends, get_state, give, has_events, make, send, take
from tests.core.wire import describe
from ws4py_middleware.core.events import MessageReceived
from ws4py_middleware.core.types import State


def test_messages_within_the_rate_are_delivered_then_1008() -> None:
    relay = make(message_rate=2)
    give(relay, "a", "b", "c")
    assert len(take(relay)) == 2
    assert get_state(relay) is State.CLOSED
    assert ends(relay) == (1008, "more than 2 messages in 1 s")
    assert send(relay) == [("close", 1008, "more than 2 messages in 1 s")]


def test_message_that_is_passed_is_counted_as_any() -> None:
    relay = make(message_rate=2)
    give(relay, "a")
    message = MessageReceived(b"c", True)
    oldest = relay.pass_message(message, 0.0)
    assert oldest is not None
    assert describe(oldest) == ("text", b"a")
    assert relay.pass_message(message, 0.0) is message, "the second; the third is one more than it may be"
    assert relay.next_event() is None
    assert ends(relay) == (1008, "more than 2 messages in 1 s")


def test_excess_alone_is_something_to_take() -> None:
    relay = make(byte_rate=10)
    assert not has_events(relay)
    give(relay, "x" * 11)
    assert has_events(relay)
    assert take(relay) == []
    assert ends(relay) == (1008, "more than 10 bytes in 1 s")


def test_end_that_the_server_tells_of_comes_first() -> None:
    relay = make(message_rate=1)
    give(relay, "a", "b")
    disconnect(relay, 1001)
    take(relay)
    assert ends(relay) == (1001, "")


def test_idle_timeout_and_rates_go_together() -> None:
    relay = make(message_rate=5, idle_timeout=10.0)
    give(relay, "a", now=4.0)
    assert relay.next_deadline() == 14.0
