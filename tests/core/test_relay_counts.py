"""The relay: what is counted of it."""

from __future__ import annotations

from tests.core.connections import QUIET
from ws4py_middleware.core.events import CloseReceived, MessageReceived
from ws4py_middleware.core.relay import Relay


def test_relay_counts_messages_and_their_bytes() -> None:
    relay = Relay(QUIET, now=3.0)
    relay.receive_data([MessageReceived(b"four", True), CloseReceived(1000, "")], 3.0)
    relay.send_message(b"a", True)
    relay.send_message(b"bc", False)
    assert relay.drop_oldest()
    relay.drop_newest()
    relay.data_sent(len(relay.data_to_send()), 3.0)
    counts = relay.count()
    assert (counts.messages_received, counts.bytes_received) == (1, 4)
    assert (counts.messages_sent, counts.messages_dropped, counts.bytes_sent) == (2, 2, 2)
    assert counts.queued_max == 1 + 2 + 2 * 64
    assert relay.opened_at == 3.0
    assert counts is not relay.count()
