"""The figures of a process: managers that are no more, forks, and descriptors that change hands."""

from __future__ import annotations

import gc
import os

import pytest

from tests.drivers.contract_figures import Echo
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.figures import Totals, _find_client, _find_path, process_stats
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.prometheus import _Publisher
from ws4py_middleware.websocket import WebSocket

__all__ = ["threads"]


def talk(host: ThreadHost) -> None:
    websocket = Echo()
    with host.connect(websocket) as peer:
        peer.send("hello")
        assert peer.read() == "hello"
        peer.close()
    host.wait_closed(websocket)
    host.wait_until(lambda: not len(host.manager))


def test_figures_of_a_manager_that_is_no_more_stay_with_the_process() -> None:
    before = process_stats()
    host = ThreadHost()
    talk(host)
    host.close()
    del host
    gc.collect()
    after = process_stats()
    assert after.messages_received == before.messages_received + 1
    assert after.opened == before.opened + 1
    assert after.closed["1000"] == before.closed.get("1000", 0) + 1


def test_connections_of_now_and_their_ages_are_those_of_all_managers(threads: ThreadHost) -> None:
    before = process_stats().connections
    websocket = Echo()
    with threads.connect(websocket) as peer:
        threads.wait_until(lambda: len(threads.manager))
        stats = process_stats()
        assert stats.connections == before + 1
        assert stats.oldest is not None
        peer.finish()


def test_forked_child_begins_with_nothing(threads: ThreadHost) -> None:
    talk(threads)
    assert threads.manager.stats().opened == 1
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            whole, mine = process_stats(), threads.manager.stats()
            os.write(writer, repr((whole.opened, whole.closed, mine.opened, mine.messages_sent)).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"(0, {}, 0, 0)"


def test_descriptor_that_has_passed_to_another_connection_loses_no_figures(threads: ThreadHost) -> None:
    first, second = Echo(), Echo()
    with threads.connect(first) as peer, threads.connect(second):
        peer.send("hello")
        assert peer.read() == "hello"
        totals, manager = Totals(), WebSocketManager()
        old, new = first._ensure_link(), second._ensure_link()
        totals.enter(manager, old)
        manager._links[new.fd] = old
        totals.enter(manager, new)
        manager._links[new.fd] = new
        totals.enter(manager, new)
        manager._links.clear()
        stats = totals.sum_up(manager.lock, {})
        assert (stats.opened, stats.messages_received, stats.closed) == (2, 1, {})


def test_path_and_address_are_found_without_a_request() -> None:
    websocket = WebSocket()
    assert _find_path(websocket) == ""
    assert _find_client(websocket, websocket.policy) == ""
    websocket.resource = "/chat?token=secret"  # type: ignore[attr-defined]
    assert _find_path(websocket) == "/chat"


def test_publisher_adds_what_has_come_since_and_is_told_again_after_a_stop(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = _Publisher(0.01)
    opened, closed = publisher._counters["opened"], publisher._closed
    talk(threads)
    publisher.publish()
    before = opened._value.get()
    publisher.publish()
    assert opened._value.get() == before == process_stats().opened
    assert closed.labels("1000")._value.get() == process_stats().closed["1000"]
    publisher.watch(threads.manager)
    publisher.watch(threads.manager)
    talk(threads)
    threads.wait_until(lambda: opened._value.get() == before + 1)
    assert caplog.records == []


def test_figures_that_cannot_be_written_down_are_told_to_the_operator(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(_Publisher):
        def publish(self) -> None:
            raise OSError(28, "No space left on device")

    publisher = Full(0.01)
    publisher.watch(threads.manager)
    threads.wait_until(lambda: caplog.text.count("could not be published") > 1)
    talk(threads)
