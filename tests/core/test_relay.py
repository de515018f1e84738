"""core.relay: messages in both directions, their limits, and the queue."""

from __future__ import annotations

import pytest

from tests.core.relays import disconnect, ends, get_state, give, has_events, is_finished, make, send, take
from ws4py_middleware.core.events import MessageReceived
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.relay import SendClose, SendMessage
from ws4py_middleware.core.types import Side, State
from ws4py_middleware.exc import ConnectionClosed


def test_new_it_is_an_open_server_with_nothing_to_do() -> None:
    relay = make(write_timeout=1)
    assert (relay.side, relay.state, relay.finished) == (Side.SERVER, State.OPEN, False)
    assert (relay.latency, relay.half_close, relay.has_more, relay.eof_received) == (
        None,
        False,
        False,
        False,
    )
    assert (relay.data_to_send(), relay.next_event(), relay.next_deadline()) == ((), None, None)
    assert ends(relay) == (1006, "Going away")


def test_receive_data_messages_are_events_in_order() -> None:
    relay = make()
    give(relay, "a", "b")
    relay.receive_data([MessageReceived(b"\xff", False)], 0.0, 1)
    assert has_events(relay)
    assert take(relay) == [("text", b"a"), ("text", b"b"), ("binary", b"\xff")]
    assert not has_events(relay)


@pytest.mark.parametrize(("limit", "refused"), [(4, False), (2, True), (None, False), (2**70, False)])
def test_receive_data_a_message_over_the_limit_fails_with_1009(limit: int | None, refused: bool) -> None:
    relay = make(max_message_size=limit)
    give(relay, "ok", "abc", "more")
    if not refused:
        assert len(take(relay)) == 3
        return
    assert take(relay) == [("text", b"ok")]
    reason = "a message of 3 bytes, more than 2"
    assert ends(relay) == (1009, reason)
    assert get_state(relay) is State.CLOSED
    assert not is_finished(relay)
    assert send(relay) == [("close", 1009, reason)]
    assert is_finished(relay)
    give(relay, "ignored")
    assert not has_events(relay)


def test_pass_message_is_at_once_what_comes_behind_all_others() -> None:
    relay = make(max_message_size=3)
    message = MessageReceived(b"abc", True)
    assert relay.pass_message(message, 1.0) is message
    assert not has_events(relay)
    give(relay, "one")
    first = relay.pass_message(message, 2.0)
    assert first is not message, "the oldest comes first"
    assert take(relay) == [("text", b"abc")]
    counts = relay.count()
    assert (counts.messages_received, counts.bytes_received) == (3, 9)
    assert relay.pass_message(MessageReceived(b"abcd", True), 3.0) is None
    assert ends(relay) == (1009, "a message of 4 bytes, more than 3")
    assert relay.pass_message(message, 4.0) is None, "it is closed"


def test_send_message_each_is_one_item() -> None:
    relay = make()
    relay.send_message(b"\xc3\xa4", True)
    relay.send_message(bytearray(b"\xff"), False)
    relay.send_message(memoryview(b""), True)
    assert relay.queued == 3 + 3 * 64
    assert send(relay) == [("text", "ä"), ("binary", b"\xff"), ("text", "")]


def test_send_prepared_is_shared_by_all() -> None:
    message = PreparedMessage(b"x" * 1000, True)
    first, second = make(), make()
    first.send_prepared(message)
    second.send_prepared(message)
    (one,), (two,) = first.data_to_send(), second.data_to_send()
    assert one is two
    assert isinstance(one, SendMessage)
    assert one.data is message.data
    assert one.text is one.text


def test_send_fragment_they_are_sent_as_one_message() -> None:
    relay = make()
    relay.send_fragment(b"\xc3", True, first=True, fin=False)
    relay.send_message(b"between", True)
    relay.send_fragment(b"\xa4", True, first=False, fin=True)
    relay.send_fragment(b"alone", False, first=True, fin=True)
    assert send(relay) == [("text", "between"), ("text", "ä"), ("binary", b"alone")]


def test_send_fragment_more_than_the_write_limit_is_an_error_and_forgotten() -> None:
    relay = make(write_limit=5)
    relay.send_fragment(b"abc", True, first=True, fin=False)
    with pytest.raises(ValueError, match=r"more than 5 bytes.*raise write_limit"):
        relay.send_fragment(b"abc", True, first=False, fin=True)
    assert send(relay) == []
    relay.send_fragment(b"abcde", True, first=True, fin=True)
    assert send(relay) == [("text", "abcde")]


def test_send_fragment_a_new_first_one_forgets_those_before() -> None:
    relay = make()
    relay.send_fragment(b"half", True, first=True, fin=False)
    relay.send_fragment(b"whole", True, first=True, fin=True)
    assert send(relay) == [("text", "whole")]


def test_ping_is_the_servers_business() -> None:
    relay = make()
    relay.ping(b"x" * 125)
    relay.pong()
    assert send(relay) == []
    with pytest.raises(ValueError, match="126 bytes"):
        relay.ping(b"x" * 126)


def test_after_the_end_nothing_can_be_sent() -> None:
    relay = make()
    disconnect(relay, 4000, "bye")
    take(relay)
    with pytest.raises(ConnectionClosed) as caught:
        relay.send_message(b"x", True)
    assert (caught.value.code, caught.value.reason) == (4000, "bye")
    with pytest.raises(ConnectionClosed):
        relay.send_prepared(PreparedMessage(b"x", True))
    with pytest.raises(ConnectionClosed):
        relay.send_fragment(b"x", True, first=True, fin=True)
    with pytest.raises(ConnectionClosed):
        relay.pong()


def test_data_to_send_is_taken_in_batches_and_in_parts() -> None:
    relay = make()
    for number in range(5):
        relay.send_message(b"%d" % number * 30_000, True)
    batch = relay.data_to_send()
    assert len(batch) == 3
    relay.data_sent(0, 0.0)
    assert relay.data_to_send() is batch
    relay.data_sent(1, 0.0)
    assert relay.data_to_send() == batch[1:]
    assert relay.queued == 4 * 30_064
    relay.data_sent(2, 0.0)
    assert [len(item.data) for item in relay.data_to_send() if isinstance(item, SendMessage)] == [30_000] * 2
    assert len(send(relay)) == 2


def test_drop_oldest_leaves_what_the_server_was_given_and_the_end() -> None:
    relay = make()
    relay.send_message(b"1", True)
    relay.data_to_send()
    relay.send_message(b"2", True)
    relay.send_message(b"3", False)
    relay.close(1000, "", 0.0)
    assert relay.drop_oldest()
    assert relay.drop_oldest()
    assert not relay.drop_oldest()
    assert send(relay) == [("text", "1"), ("close", 1000, "")]


def test_items_say_what_they_are() -> None:
    assert repr(SendMessage(b"a", True)) == "SendMessage(b'a', is_text=True)"
    assert repr(SendClose(1000, "bye")) == "SendClose(1000, 'bye')"
