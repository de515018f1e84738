"""core.machine: what a connection and a relay have in common, and what each has to have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.connections import give, make_server, send
from tests.core.relays import disconnect, make
from tests.core.wire import joined
from ws4py_middleware.core.connection import Connection
from ws4py_middleware.core.machine import Machine
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.core.relay import Relay
from ws4py_middleware.core.types import Side
from ws4py_middleware.exc import ConnectionClosed

POLICY = Policy(
    ping_interval=20.0, ping_timeout=10.0, write_timeout=15.0, close_timeout=5.0, idle_timeout=60.0
)


def count(data: Any) -> int:
    """Return what all that is taken counts for: bytes, or a relay's items."""
    return len(joined(data)) if isinstance(data, bytes | list) else len(data)


def connect() -> Machine:
    return make_server(POLICY)


def relay() -> Machine:
    return Relay(POLICY)


both = pytest.mark.parametrize("make_machine", [connect, relay])


@both
def test_machine_that_was_made_is_open(make_machine: Callable[[], Machine]) -> None:
    machine = make_machine()
    assert machine.is_open()
    assert not machine.is_closed()
    assert not machine.has_work()
    assert not machine.has_events
    assert not machine.has_more
    assert (machine.get_queued(), machine.get_backlog(), machine.queued, machine.backlog) == (0, 0, 0, 0)
    assert (machine.close_code, machine.close_reason) == (1006, "Going away")
    assert machine.latency is None
    assert machine.get_room(10) is None
    assert not machine.half_close
    assert not machine.finished


@both
def test_machine_that_closes_is_neither_open_nor_closed(make_machine: Callable[[], Machine]) -> None:
    machine = make_machine()
    machine.close(1000, "", 1.0)
    assert not machine.is_open()
    assert not machine.is_closed()
    with pytest.raises(ConnectionClosed):
        machine.send_message(b"late", True)
    machine.handle_deadline(6.0)
    assert machine.is_closed()
    assert machine.finished


@both
def test_peer_that_takes_nothing_is_lost(make_machine: Callable[[], Machine]) -> None:
    machine = make_machine()
    machine.send_message(b"Hello", True)
    assert machine.get_queued() == machine.get_backlog() > 5
    assert machine.data_to_send()
    machine.data_sent(0, 1.0)
    machine.data_sent(0, 2.0)  # again nothing: the first time counts
    assert machine.next_deadline() == 16.0
    machine.handle_deadline(16.0)
    assert machine.finished
    assert machine.get_queued() == 0
    assert machine.close_reason.startswith("the peer took no ")


@both
def test_peer_that_takes_something_has_time_for_the_rest(make_machine: Callable[[], Machine]) -> None:
    machine = make_machine()
    machine.send_message(bytes(200_000), False)
    machine.send_message(bytes(10), False)
    size = count(machine.data_to_send())
    machine.data_sent(0, 1.0)
    assert machine.deadlines.write_due == 16.0
    machine.data_sent(size, 3.0)
    assert machine.deadlines.write_due == 18.0, "all that it was given, but not all there is"
    while data := machine.data_to_send():
        machine.data_sent(count(data), 4.0)
    assert not machine.deadlines.is_write_blocked


@both
def test_peer_that_takes_all_at_once_is_not_waited_for(make_machine: Callable[[], Machine]) -> None:
    machine = make_machine()
    machine.send_message(b"Hello", True)
    machine.data_sent(count(machine.data_to_send()), 1.0)
    assert not machine.deadlines.is_write_blocked
    assert machine.get_queued() == 0


@both
def test_peer_that_says_nothing_is_let_go(make_machine: Callable[[], Machine]) -> None:
    machine = make_machine()
    machine.pause()
    machine.resume(30.0)
    for now in range(0, 91, 5):
        machine.handle_deadline(float(now))
        if machine.is_open() and machine.side is Side.SERVER and isinstance(machine, Connection):
            give(machine, 0xA, b"\0\0\0\1", float(now))
            while machine.next_event():
                pass
    assert machine.close_sent is not None
    assert not machine.is_open()


def test_peer_that_does_not_pong_is_failed() -> None:
    server = make_server(POLICY)
    server.handle_deadline(20.0)
    assert send(server)[:1] == b"\x89"
    server.handle_deadline(30.0)
    assert server.close_sent == (1011, "no pong within 10 s")


def test_end_that_was_received_is_the_machines() -> None:
    relayed = make()
    disconnect(relayed, 4001, "Bye")
    assert relayed.has_work()
    relayed.next_event()
    assert (relayed.close_code, relayed.close_reason) == (4001, "Bye")


def test_machine_alone_has_nothing_that_it_could_do() -> None:
    machine = Machine(Side.SERVER, POLICY, 0.0, True)
    for call in (
        machine.has_work,
        machine.get_queued,
        machine.get_backlog,
        lambda: machine.receive_data(b"", 0.0),
        lambda: machine.receive_eof(0.0),
        machine.next_event,
        lambda: machine.send_message(b"", True),
        lambda: machine.send_prepared(PreparedMessage(b"", True)),
        machine.data_to_send,
        lambda: machine.room_filled(0, 0.0),
        lambda: machine.data_sent(0, 0.0),
        lambda: machine.handle_deadline(20.0),
        lambda: machine.close(1000, "", 0.0),
        lambda: machine.fail(1000, "", 0.0),
        lambda: machine.lose(""),
    ):
        with pytest.raises(NotImplementedError):
            call()
