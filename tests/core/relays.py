"""One relayed connection whose server and clock are the test."""

from __future__ import annotations

from tests.core.wire import describe
from ws4py_middleware.core.events import CloseReceived, MessageReceived
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.relay import Item, Relay, SendMessage
from ws4py_middleware.core.types import State


def make(now: float = 0.0, **settings: object) -> Relay:
    return Relay(Policy().replace(**settings), now=now)


def give(relay: Relay, *texts: str, now: float = 0.0) -> None:
    """Let the server bring text messages."""
    relay.receive_data([MessageReceived(text.encode(), True) for text in texts], now)


def disconnect(relay: Relay, code: int = 1000, reason: str = "", now: float = 0.0) -> None:
    """Let the server tell of the end."""
    relay.receive_data([CloseReceived(code, reason)], now)


def take(relay: Relay) -> list[tuple[object, ...]]:
    """Take all events that are there."""
    events = []
    while (event := relay.next_event()) is not None:
        events.append(describe(event))
    return events


def show(item: Item) -> tuple[object, ...]:
    """Turn an item into a value that can be compared."""
    if isinstance(item, SendMessage):
        return ("text", item.text) if item.is_text else ("binary", item.data)
    return "close", item.code, item.reason


def send(relay: Relay, now: float = 0.0) -> list[tuple[object, ...]]:
    """Let the server take everything."""
    items: list[Item] = []
    while batch := relay.data_to_send():
        assert relay.data_to_send() is batch
        items += batch
        relay.data_sent(len(batch), now)
    assert relay.queued == relay.backlog == 0
    return [show(item) for item in items]


# What is asked more than once in a test; mypy would take the first answer for the last.


def get_state(relay: Relay) -> State:
    return relay.state


def is_finished(relay: Relay) -> bool:
    return relay.finished


def ends(relay: Relay) -> tuple[int, str]:
    return relay.close_code, relay.close_reason


def has_events(relay: Relay) -> bool:
    return relay.has_events
