"""The queue of messages that are asked for."""

from __future__ import annotations

import threading

import pytest

from ws4py_middleware.core.policy import Policy
from ws4py_middleware.inbox import Inbox
from ws4py_middleware.messaging import BinaryMessage, TextMessage


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(Policy(receive_queue_messages=3, receive_queue_size=2000))


def texts(inbox: Inbox) -> list[str]:
    return [str(inbox.take()) for _ in range(len(inbox))]


def test_messages_come_in_order(inbox: Inbox) -> None:
    assert inbox.take() is None
    for text in ("a", "b"):
        inbox.put(TextMessage(text))
    assert texts(inbox) == ["a", "b"]
    assert inbox.take() is None


def test_before_anybody_asked_the_oldest_are_dropped(inbox: Inbox) -> None:
    for number in range(10):
        inbox.put(TextMessage(str(number)))
        assert not inbox.is_full
    assert texts(inbox) == ["7", "8", "9"]


def test_once_somebody_asked_nothing_is_dropped_and_fullness_is_told(inbox: Inbox) -> None:
    assert inbox.take() is None
    for number in range(10):
        assert inbox.is_full is (number >= 3)
        inbox.put(TextMessage(str(number)))
    assert texts(inbox) == [str(number) for number in range(10)]
    assert not inbox.is_full


def test_fullness_counts_bytes_and_what_a_message_costs_beside_them(inbox: Inbox) -> None:
    inbox.wanted = True
    full = []
    for _ in range(2):
        inbox.put(BinaryMessage(bytes(1000)))
        full.append(inbox.is_full)
    inbox.take()
    assert [*full, inbox.is_full] == [False, True, False]
    small = Inbox(Policy(receive_queue_messages=1000, receive_queue_size=1280))
    small.wanted = True
    for _ in range(10):
        assert not small.is_full
        small.put(BinaryMessage(b""))
    assert small.is_full


def test_message_larger_than_the_bound_is_kept_alone(inbox: Inbox) -> None:
    inbox.put(TextMessage("small"))
    inbox.put(BinaryMessage(bytes(5000)))
    inbox.put(TextMessage("next"))
    assert texts(inbox) == ["next"]


def test_each_message_wakes_one_who_waits(inbox: Inbox) -> None:
    first, second = inbox.add_waiter(threading.Event), inbox.add_waiter(threading.Event)
    inbox.put(TextMessage("a"))
    assert first.wait(0)
    assert not second.wait(0)
    inbox.put(TextMessage("b"))
    assert second.wait(0)


def test_waiter_that_was_woken_and_gave_up_wakes_the_next(inbox: Inbox) -> None:
    """Its time ran out in the moment in which it was woken; the message is another's then."""
    first, second = inbox.add_waiter(threading.Event), inbox.add_waiter(threading.Event)
    inbox.put(TextMessage("a"))
    inbox.remove_waiter(first)
    assert second.wait(0)


def test_waiter_that_gave_up_is_not_woken(inbox: Inbox) -> None:
    first, second = inbox.add_waiter(threading.Event), inbox.add_waiter(threading.Event)
    inbox.remove_waiter(first)
    inbox.put(TextMessage("a"))
    assert not first.wait(0)
    assert second.wait(0)


def test_waiter_that_took_its_message_wakes_nobody(inbox: Inbox) -> None:
    first, second = inbox.add_waiter(threading.Event), inbox.add_waiter(threading.Event)
    inbox.put(TextMessage("a"))
    inbox.take()
    inbox.remove_waiter(first)
    assert not second.wait(0)


def test_end_wakes_all_and_leaves_what_is_there(inbox: Inbox) -> None:
    inbox.put(TextMessage("a"))
    waiters = [inbox.add_waiter(threading.Event) for _ in range(3)]
    inbox.end()
    assert inbox.ended
    assert all(waiter.wait(0) for waiter in waiters)
    assert texts(inbox) == ["a"]
