"""Handlers that block, when other things go wrong as well."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import Any

import pytest

from tests.drivers.gates import Gate, blocked, crew, echo
from tests.drivers.peer import EchoRecorder, Recorder, connect, wait_until
from tests.drivers.threads import ThreadHost, host, threads
from ws4py_middleware.manager import EPollPoller, WebSocketManager
from ws4py_middleware.messaging import Message

__all__ = ["host", "threads"]


class Other(Gate):
    """One that was not caught yet."""


# --- as many as there may be --------------------------------------------------------------------------


def test_all_threads_busy_the_loop_goes_on_and_it_is_logged_once(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    threads.manager.max_threads = 3
    quick = threads.connect(EchoRecorder())
    gates = [Gate() for _ in range(6)]
    with blocked(threads, gates[0]):
        echo(quick)
        peers = [threads.connect(gate) for gate in gates[1:]]
        for peer in peers:
            peer.send("hello")
        wait_until(lambda: sum(gate.inside.is_set() for gate in gates) == 2)
        wait_until(lambda: caplog.records)
        for number in range(50):
            echo(quick, str(number))
        assert sum(gate.inside.is_set() for gate in gates) == 2
        for gate in gates:
            gate.go_on.set()
        for peer in peers:
            assert peer.read() == "hello"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "all 3 threads are busy" in warnings[0]
    assert "the slowest is Gate, which has been busy for 0." in warnings[0]


def test_leader_that_blocks_when_nobody_is_free_is_replaced_by_the_first_that_is(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    threads.manager.max_threads = 2
    quick = threads.connect(EchoRecorder())
    echo(quick)
    first, second = Gate(), Other()
    with blocked(threads, first), blocked(threads, second):
        wait_until(lambda: caplog.records)
        quick.send("hello")
        first.go_on.set()
        assert quick.read() == "hello"
        assert not second.ends
        assert first.threads != second.threads


def test_one_thread_hands_nothing_on(threads: ThreadHost) -> None:
    threads.manager.max_threads = 1
    gate = Gate()
    with blocked(threads, gate) as peer:
        time.sleep(0.03)
        gate.go_on.set()
        assert peer.read() == "one"
        echo(peer)
    assert len(set(gate.threads)) == 1


def test_without_another_thread_the_watchdog_leads(
    threads: ThreadHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quick = threads.connect(EchoRecorder())
    echo(quick)
    gate = Gate()
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("WebSocketManager"):
            raise RuntimeError("can't start new thread")
        real(thread)

    wait_until(lambda: "WebSocketManager-watchdog" in [thread.name for thread in threading.enumerate()])
    monkeypatch.setattr(threading.Thread, "start", start)
    with blocked(threads, gate) as peer:
        echo(quick)
        gate.go_on.set()
        assert peer.read() == "one"
        echo(peer)
    assert "no thread can be started" in caplog.text


# --- the class that was caught -------------------------------------------------------------------------


def test_class_that_was_caught_goes_straight_to_a_thread_until_it_has_been_quick(
    threads: ThreadHost,
) -> None:
    crew(threads).quick_time = 0.2
    quick, gate = EchoRecorder(), Gate()
    with threads.connect(quick) as other, blocked(threads, gate) as peer:
        echo(other)
        gate.go_on.set()
        assert peer.read() == "one"
        assert list(crew(threads).slow) == [Gate]
        leader = threads.manager._ident
        echo(peer, "straight to a thread")
        assert threads.manager._ident == leader
        assert gate.threads[-1] != leader

        def is_in_the_loop_again() -> bool:
            echo(peer)
            return gate.threads[-1] == leader

        wait_until(is_in_the_loop_again)
        assert not crew(threads).slow
        peer.finish()
    gate.wait_closed()


def test_threads_that_have_nothing_to_do_end(threads: ThreadHost) -> None:
    before = threading.active_count()
    crew(threads).idle_time = 0.05
    gates = [Gate() for _ in range(5)]
    peers = [threads.connect(gate) for gate in gates]
    for peer in peers:
        peer.send("hello")
    wait_until(lambda: all(gate.inside.is_set() for gate in gates))
    assert threading.active_count() >= before + 5
    for gate in gates:
        gate.go_on.set()
    for peer in peers:
        assert peer.read() == "hello"
    # One that leads, whichever it is, and the watchdog.
    wait_until(lambda: threading.active_count() <= before + 1)
    for peer in peers:
        echo(peer)


# --- order ----------------------------------------------------------------------------------------------


def test_messages_of_handlers_that_block_now_and_then_keep_their_order(host: ThreadHost) -> None:
    """Whichever thread they are in, hooks of one connection do not overlap, and come in order."""
    randomness = random.Random(4)

    class Moody(EchoRecorder):
        def on_message(self, message: Message) -> None:
            if randomness.random() < 0.03:
                time.sleep(randomness.random() * 0.02)
            super().on_message(message)

    host.manager.handon_after = 0.001
    crew(host).quick_time = 0.05
    recorders: list[EchoRecorder] = [Moody() if number % 3 else EchoRecorder() for number in range(12)]
    peers = [host.connect(recorder) for recorder in recorders]
    texts = [str(number) for number in range(150)]

    def talk(peer: Any) -> None:
        for text in texts:
            peer.send(text)
        for text in texts:
            assert peer.read() == text
        assert peer.finish() == (1000, "")

    for join in [host.spawn(lambda peer=peer: talk(peer)) for peer in peers]:  # type: ignore[misc]
        join()
    for recorder in recorders:
        assert recorder.wait_closed() == (1000, "")
        assert recorder.messages == texts


# --- what others do meanwhile ---------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "eof", "reset"])
def test_peer_that_leaves_while_a_hook_blocks_is_told_afterwards_and_costs_no_cpu(
    host: ThreadHost, end: str
) -> None:
    gate = Gate()
    quick = host.connect(EchoRecorder())
    with blocked(host, gate) as peer:
        echo(quick)
        if end == "close":
            peer.close(4000)
        elif end == "eof":
            peer.sock.close()
        else:
            peer.reset()
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.1
        echo(quick)
        assert not gate.ends
        gate.go_on.set()
        assert gate.wait_closed()[0] == (4000 if end == "close" else 1006)


def test_peer_is_not_blamed_for_pongs_that_nobody_has_read(threads: ThreadHost) -> None:
    gate = Gate()
    quick = threads.connect(EchoRecorder())
    peer = threads.connect(gate, ping_interval=0.02, ping_timeout=0.1)
    peer.send("one")
    assert gate.inside.wait(10)
    echo(quick)
    time.sleep(0.4)
    assert gate.is_open
    gate.go_on.set()
    while (frame := peer.read_frame()).payload != b"one":
        peer.pong(frame.payload)
    peer.reset()
    gate.wait_closed()


def test_what_waits_for_the_network_leaves_while_a_hook_blocks(threads: ThreadHost) -> None:
    class Sender(Gate):
        def on_message(self, message: Message) -> None:
            self.send(bytes(500_000), binary=True)
            self.block()

    sender = Sender()
    peer = threads.connect(sender, threads.small_pair)
    peer.send("one")
    assert sender.inside.wait(10)
    assert peer.read() == bytes(500_000)
    sender.go_on.set()
    peer.finish()
    sender.wait_closed()


def test_hook_does_not_wait_for_a_peer_that_does_not_read(threads: ThreadHost) -> None:
    """Nor where it could: thirty-two such peers would have all the threads."""

    class Flooder(Gate):
        def on_message(self, message: Message) -> None:
            self.block()
            while True:
                self.send(bytes(65536), binary=True)

    flooder = Flooder()
    with blocked(threads, flooder):
        echo(threads.connect(EchoRecorder()))
        flooder.go_on.set()
        assert flooder.wait_closed()[0] == 1013


def test_terminate_while_a_hook_blocks_is_told_afterwards(threads: ThreadHost) -> None:
    gate = Gate()
    with blocked(threads, gate) as peer:
        echo(threads.connect(EchoRecorder()))
        gate.terminate()
        time.sleep(0.02)
        assert not gate.ends
        gate.go_on.set()
        peer.read_end()
    assert gate.wait_closed() == (1006, "Going away")


# --- the end of the manager -------------------------------------------------------------------------------


@pytest.mark.timeout(30)
def test_stop_is_not_held_by_closed_hooks_that_block_and_each_is_told_once(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    manager = WebSocketManager(max_threads=3)
    manager.daemon = True
    manager.start()
    gates = [Gate() for _ in range(12)]
    for gate in gates:
        gate.where = "closed"
    peers = [connect(manager, gate) for gate in gates]
    wait_until(lambda: all(gate.seen for gate in gates))
    began = time.monotonic()
    manager.stop()
    assert time.monotonic() - began < 5
    assert not manager.is_alive()
    assert len(manager) == 0
    for peer in peers:
        peer.read_end()
        peer.sock.close()
    assert sum(gate.inside.is_set() for gate in gates) == 3
    for gate in gates:
        gate.go_on.set()
    for gate in gates:
        assert gate.wait_closed() == (1006, "Going away")


def test_stop_in_a_hook_that_has_blocked_ends_after_it(threads: ThreadHost) -> None:
    class Stopper(Gate):
        def on_message(self, message: Message) -> None:
            self.block()
            threads.manager.stop()
            self.send("stopped")

    stopper, other = Stopper(), EchoRecorder()
    with blocked(threads, stopper) as peer, threads.connect(other) as second:
        echo(second)
        stopper.go_on.set()
        second.read_end()
        threads.manager.join(10)
        assert not threads.manager.is_alive()
        assert stopper.wait_closed()[0] == 1006
        assert other.wait_closed()[0] == 1006
        peer.sock.close()


def test_run_in_a_thread_of_ones_own_returns_after_its_hook(threads: ThreadHost) -> None:
    manager = WebSocketManager()
    join = threads.spawn(manager.run)
    gate, quick = Gate(), EchoRecorder()
    with connect(manager, gate) as peer, connect(manager, quick) as other:
        peer.send("one")
        assert gate.inside.wait(10)
        echo(other)
        assert manager.is_alive()
        gate.go_on.set()
        assert peer.read() == "one"
        manager.stop()
        join()
    assert gate.wait_closed()[0] == quick.wait_closed()[0] == 1006


@pytest.mark.parametrize(("option", "value"), [("max_threads", 0), ("handon_after", 0.0)])
def test_settings_that_make_no_sense_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        WebSocketManager(**{option: value})


def test_recorders_of_a_class_that_is_caught_in_opened_are_served(threads: ThreadHost) -> None:
    class Slow(Recorder):
        def on_opened(self) -> None:
            time.sleep(0.05)
            self.send("welcome")

    recorders = [Slow() for _ in range(20)]
    peers = [threads.connect(recorder) for recorder in recorders]
    began = time.monotonic()
    for peer in peers:
        assert peer.read() == "welcome"
    assert time.monotonic() - began < 0.9  # one after the other takes a second
    for recorder, peer in zip(recorders, peers, strict=True):
        assert peer.finish() == (1000, "")
        recorder.wait_closed()


def test_poller_that_fails_ends_the_run_and_nobody_waits_for_ever(
    threads: ThreadHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))

    class Failing(EPollPoller):
        def wait(self, timeout: float | None) -> list[tuple[int, int]]:
            if failing.is_set():
                raise OSError(5, "the poller fails")
            return super().wait(timeout)

    failing = threading.Event()
    manager = WebSocketManager(Failing())
    manager.daemon = True
    manager.start()
    gate, other = Gate(), EchoRecorder()
    with connect(manager, gate) as peer, connect(manager, other) as second:
        peer.send("one")
        assert gate.inside.wait(10)
        echo(second)
        failing.set()
        second.send("wakes it up")
        manager.join(10)
        assert not manager.is_alive()
        assert len(list(second.frames())) <= 1  # it was asleep already, and then wakes up once more
        peer.read_end()
        gate.go_on.set()
    assert gate.wait_closed()[0] == other.wait_closed()[0] == 1006
    manager.stop()
    wait_until(lambda: [str(error) for error in errors] == ["[Errno 5] the poller fails"])
