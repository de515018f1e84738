"""The manager of threads: the contract of all managers, and what is its own."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import threading
from _thread import get_ident
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock, patch

import pytest

from tests.core.wire import PING, TEXT
from tests.drivers.contract import LifecycleContract
from tests.drivers.contract_traffic import TrafficContract
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build, connect, tcp_pair, wait_until
from tests.drivers.threads import ThreadHost, host, threads
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.handover import from_socket
from ws4py_middleware.manager import (
    EPollPoller,
    WebSocketManager,
)
from ws4py_middleware.messaging import Message

__all__ = ["host", "threads"]


class TestLifecycle(LifecycleContract):
    pass


class TestTraffic(TrafficContract):
    pass


@pytest.fixture
def manager() -> Iterator[WebSocketManager]:
    """A manager that is not started yet."""
    manager = WebSocketManager()
    manager.daemon = True
    yield manager
    manager.stop()
    assert len(manager) == 0


def echo(peer: Peer, text: str = "hello") -> None:
    peer.send(text)
    assert peer.read() == text


# --- start and stop -------------------------------------------------------------------------------


def test_manager_may_be_stopped_and_started_again(manager: WebSocketManager) -> None:
    for number in range(3):
        manager.start()
        assert manager.is_alive()
        recorder = EchoRecorder()
        with connect(manager, recorder) as peer:
            echo(peer, str(number))
            manager.stop()
            peer.read_end()
        assert recorder.wait_closed() == (1006, "Going away")
        manager.join()
        assert not manager.running
        manager.stop()


def test_start_of_a_running_manager_raises_runtimeerror(manager: WebSocketManager) -> None:
    manager.start()
    with pytest.raises(RuntimeError, match="started already"):
        manager.start()


@pytest.mark.timeout(20)
def test_stop_right_after_start_ends_it(manager: WebSocketManager) -> None:
    for _ in range(200):
        manager.start()
        manager.stop()
        assert not manager.is_alive()


def test_connections_that_came_before_the_start_are_served(manager: WebSocketManager) -> None:
    attached, added = EchoRecorder(), EchoRecorder()
    client, server = tcp_pair()
    added.sock = server
    with connect(manager, attached, early=build(TEXT, b"early")) as first, Peer(client) as second:
        manager.add(added)
        assert len(manager) == 2
        second.send("hello")
        manager.start()
        assert first.read() == "early"
        assert second.read() == "hello"
    assert attached.wait_closed()[0] == added.wait_closed()[0] == 1006
    wait_until(lambda: not len(manager))


def test_stop_without_start_drops_what_came(manager: WebSocketManager) -> None:
    attached, added = Recorder(), Recorder()
    client, server = tcp_pair()
    added.sock = server
    with connect(manager, attached) as first, Peer(client) as second:
        manager.add(added)
        manager.stop()
        first.read_end()
        second.read_end()
    assert attached.seen == []  # opened() was never called
    assert added.seen == [("opened",), ("closed", 1006, "Going away")]


def test_connection_that_comes_while_it_stops_is_served_after_the_next_start(
    manager: WebSocketManager,
) -> None:
    late = EchoRecorder()

    class Last(Recorder):
        def on_closed(self, code: int) -> None:
            peers.append(connect(manager, late))

    peers: list[Peer] = []
    manager.start()
    last = Last()
    with connect(manager, last):
        wait_until(lambda: last.seen)
        manager.stop()
    manager.start()
    with peers[0] as peer:
        echo(peer)
    late.wait_closed()
    wait_until(lambda: not len(manager))


def test_run_in_a_thread_of_ones_own_ends_with_stop(manager: WebSocketManager, threads: ThreadHost) -> None:
    join = threads.spawn(manager.run)
    recorder = EchoRecorder()
    with connect(manager, recorder) as peer:
        echo(peer)
        manager.stop()
        peer.read_end()
    join()
    assert recorder.wait_closed() == (1006, "Going away")


def test_stop_within_a_hook_ends_after_it(manager: WebSocketManager) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            manager.stop()
            self.send("stopped")

    manager.start()
    recorder = Handler()
    with connect(manager, recorder) as peer:
        peer.send("stop")
        assert peer.read() == "stopped"
        peer.read_end()
    manager.join(10)
    assert not manager.is_alive()
    assert recorder.wait_closed()[0] == 1006


def test_shutdown_refuses_and_closes_who_comes_meanwhile(manager: WebSocketManager) -> None:
    manager.start()
    manager.closing = True
    with pytest.raises(HandshakeError) as caught:
        manager.check_capacity(Policy())
    assert caught.value.status == 503
    assert dict(caught.value.headers) == {"Retry-After": "5"}
    with connect(manager, Recorder()) as peer:
        assert peer.answer() == (1001, "Server is shutting down")
    wait_until(lambda: not len(manager))
    manager.shutdown()
    assert not manager.is_alive()


def test_shutdown_flushes_what_is_queued_before_the_close(manager: WebSocketManager) -> None:
    manager.start()
    recorder = Recorder()
    with connect(manager, recorder, write_high_water=2**24, write_limit=2**24) as peer:
        data = bytes(2**23)
        recorder.send(data, binary=True)
        thread = threading.Thread(target=manager.shutdown)
        thread.start()
        assert peer.read() == data
        assert peer.answer() == (1001, "Server is shutting down")
        thread.join(10)
    assert recorder.wait_closed() == (1001, "")


# --- add and remove -------------------------------------------------------------------------------


def test_add_calls_opened_once_and_remove_calls_nothing(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    recorder = EchoRecorder(sock=server)
    threads.manager.add(recorder)
    threads.manager.add(recorder)
    assert recorder in threads.manager
    assert threads.manager.websockets == {server.fileno(): recorder}
    with Peer(client) as peer:
        echo(peer)
        threads.manager.remove(recorder)
        threads.manager.remove(recorder)
        assert recorder not in threads.manager
        assert len(threads.manager) == 0
        peer.send("not read")
        threads.sleep(0.02)
    assert recorder.seen == [("opened",), ("message", "hello")]
    server.close()


def test_add_from_many_threads_adds_once(threads: ThreadHost) -> None:
    pairs = [tcp_pair() for _ in range(20)]
    recorders = [EchoRecorder(sock=server) for _, server in pairs]

    def add() -> None:
        for recorder in recorders:
            threads.manager.add(recorder)

    for join in [threads.spawn(add) for _ in range(5)]:
        join()
    for (client, _), recorder in zip(pairs, recorders, strict=True):
        with Peer(client) as peer:
            echo(peer)
        assert recorder.wait_closed()[0] == 1006


def test_add_keeps_the_timers(threads: ThreadHost) -> None:
    """Those that were set while nobody kept the time: by opened(), and by heartbeat_freq."""

    class Handler(Recorder):
        def on_opened(self) -> None:
            self.close(4000)

    client, server = tcp_pair()
    beating = Recorder(sock=server, heartbeat_freq=0.01)
    threads.manager.add(beating)
    with Peer(client) as peer:
        assert peer.read_frame().opcode == PING
    client, server = tcp_pair()
    closing = Handler(sock=server)
    closing.policy = Policy(close_timeout=0.05)
    threads.manager.add(closing)
    with Peer(client) as peer:
        assert peer.read_close() == (4000, "")
        peer.read_end()
    assert closing.wait_closed() == (1006, "the closing handshake did not end within 0.05 s")
    beating.wait_closed()


def test_add_lets_opened_join_a_room_and_send(threads: ThreadHost) -> None:
    class Handler(Recorder):
        def on_opened(self) -> None:
            self.join("added")
            self.send("welcome")

    client, server = tcp_pair()
    recorder = Handler(sock=server)
    threads.manager.add(recorder)
    with Peer(client) as peer:
        assert peer.read() == "welcome"
        assert recorder.hub.publish("added", "hello") == 1
        assert peer.read() == "hello"
    recorder.wait_closed()


def test_opened_that_raises_in_add_closes_with_1011(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(Recorder):
        def on_opened(self) -> None:
            raise ValueError("boom")

    client, server = tcp_pair()
    recorder = Handler(sock=server)
    threads.manager.add(recorder)
    with Peer(client) as peer:
        assert peer.answer() == (1011, "internal error")
    assert recorder.wait_closed() == (1011, "internal error")
    assert len(caplog.records) == 1


def test_terminate_in_opened_in_add_is_not_managed(threads: ThreadHost) -> None:
    class Handler(Recorder):
        def on_opened(self) -> None:
            self.terminate()

    client, server = tcp_pair()
    recorder = Handler(sock=server)
    threads.manager.add(recorder)
    assert recorder.seen == [("opened",), ("closed", 1006, "Going away")]
    assert len(threads.manager) == 0
    client.close()


def test_connection_that_cannot_be_polled_is_dropped_and_the_caller_told(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    transport = from_socket(server)
    recorder = Recorder()
    with patch.object(EPollPoller, "register", side_effect=OSError(28, "max_user_watches")):
        with pytest.raises(OSError, match="max_user_watches"):
            threads.manager.attach(recorder, transport)
    Peer(client).read_end()
    client.close()
    assert len(threads.manager) == 0
    assert recorder.seen == []
    assert not recorder.is_open


def test_number_of_a_socket_closed_behind_our_back_may_come_again(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    wait_until(lambda: recorder.seen)
    link = recorder._link
    assert link is not None
    sock: Any = link.transport
    fd = link.fd
    sock.sock.close()
    client, server = tcp_pair()
    assert fd in (client.fileno(), server.fileno())
    if server.fileno() != fd:
        client, server = server, client
    second = EchoRecorder()
    threads.manager.attach(second, from_socket(server))
    with Peer(client) as other:
        echo(other)
        assert recorder.wait_closed()[0] == 1006
        echo(other)
    second.wait_closed()
    peer.sock.close()


def test_fault_of_the_poller_costs_one_connection_only(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the handler's answer to it is another one."""

    class Handler(Recorder):
        def unhandled_error(self, error: BaseException) -> None:
            super().unhandled_error(error)
            raise ValueError("in the error's handler")

    for error in (OSError(5, "broken"), ArithmeticError("a bug")):
        recorder, other = Handler(), EchoRecorder()
        peer, second = threads.connect(recorder), threads.connect(other)
        link = recorder._link
        assert link is not None
        link.transport = MagicMock(wraps=link.transport)
        link._plain = None  # it is no socket
        link.transport.recv.side_effect = error
        link.transport.pending.side_effect = error
        link.transport.interest.side_effect = lambda read, write: (read, write)
        peer.send("x")
        assert recorder.wait_closed()[0] == 1006
        echo(second)
        second.finish()
        other.wait_closed()
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        ValueError,
        ArithmeticError,
    ]


def test_ctrl_c_while_one_comes_drops_nobody_who_is_managed_already() -> None:
    class Interrupted(WebSocketManager):
        def again(self, link: Any) -> None:
            super().again(link)
            if get_ident() != self._ident:
                raise KeyboardInterrupt

    manager = Interrupted()
    manager.start()
    client, server = tcp_pair()
    recorder = EchoRecorder()
    with pytest.raises(KeyboardInterrupt):
        manager.attach(recorder, from_socket(server))
    peer = Peer(client)
    echo(peer)
    manager.close_all()
    assert peer.read_close()[0] == 1001
    peer.sock.close()
    manager.shutdown(1)


# --- capacity -------------------------------------------------------------------------------------


def test_capacity_is_checked_against_the_policy_or_the_managers_own(threads: ThreadHost) -> None:
    peer = threads.connect(Recorder())
    threads.manager.check_capacity(Policy(max_connections=2))
    threads.manager.check_capacity(Policy(max_connections=None))
    with pytest.raises(HandshakeError, match="1 WebSockets") as caught:
        threads.manager.check_capacity(Policy(max_connections=1))
    assert (caught.value.status, caught.value.headers) == (503, (("Retry-After", "5"),))
    threads.manager.max_connections = 1
    with pytest.raises(HandshakeError):
        threads.manager.check_capacity(Policy())
    peer.finish()


@contextlib.contextmanager
def descriptors(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_out_of_descriptors_is_refused_and_logged_once_a_second(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    with descriptors(200):
        threads.manager.check_capacity(Policy())
        held = []
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(HandshakeError, match="no room"):
            threads.manager.check_capacity(Policy())
        for _ in range(10):
            os.close(held.pop())
        # The server's own accept() needs some.
        for _ in range(100):
            with pytest.raises(HandshakeError, match="no room"):
                threads.manager.check_capacity(Policy())
        for fd in held:
            os.close(fd)
        threads.manager.check_capacity(Policy())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_attach_takes_params_and_the_handlers_own_policy(threads: ThreadHost) -> None:
    class Handler(EchoRecorder):
        policy = Policy(max_message_size=10)

    recorder = Handler()
    client, server = tcp_pair()
    threads.manager.attach(recorder, from_socket(server), params={"room": "red"})
    assert recorder.params == {"room": "red"}
    assert recorder.connection is recorder.sock
    with Peer(client) as peer:
        peer.send("x" * 11)
        assert peer.read_close()[0] == 1009
    recorder.wait_closed()


def test_waiting_for_all_to_end_from_within_the_thread_does_not_deadlock(manager: WebSocketManager) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            manager.shutdown()

    manager.start()
    recorder = Handler()
    with connect(manager, recorder) as peer:
        peer.send("stop")
        assert peer.read_close()[0] == 1001
        peer.read_end()
    manager.join(10)
    assert not manager.is_alive()
    recorder.wait_closed()


def test_disowned_connections_end_without_a_word(manager: WebSocketManager) -> None:
    """What a forked child does with its parent's; here there is no parent, so that the kernel ends them."""
    recorder = Recorder()
    client, server = tcp_pair()
    sink, dummy = socket.socketpair()
    manager.attach(recorder, from_socket(server), sink=sink)
    manager._open()
    manager._disown()
    with Peer(client) as peer, dummy:
        assert (len(manager), recorder.is_open, sink.fileno()) == (0, False, -1)
        with pytest.raises(RuntimeError):
            recorder.send("x")
        peer.read_end()
    assert recorder.seen == []
    manager.start()
    with connect(manager, EchoRecorder()) as peer:
        echo(peer)


def test_given_poller_is_made_anew_for_a_child() -> None:
    given = EPollPoller(timeout=0.5)
    manager = WebSocketManager(given)
    manager._disown()
    assert isinstance(manager.poller, EPollPoller)
    assert manager.poller is not given
    assert manager.poller.timeout == 0.5
    manager.stop()
    given.release()
