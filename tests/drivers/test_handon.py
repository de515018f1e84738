"""A handler that blocks: the loop goes on in another thread."""

from __future__ import annotations

import threading
import time

import pytest

from tests.drivers.gates import Gate, blocked, crew, echo
from tests.drivers.peer import EchoRecorder, wait_until
from tests.drivers.threads import ThreadHost, host, threads
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message

__all__ = ["host", "threads"]


@pytest.mark.parametrize("where", ["opened", "message", "closed"])
def test_hook_that_blocks_does_not_stall_the_others(host: ThreadHost, where: str) -> None:
    quick = EchoRecorder()
    other = host.connect(quick)
    echo(other)
    gate = Gate()
    gate.where = where
    with blocked(host, gate) as peer:
        for number in range(100):
            echo(other, str(number))
        with host.connect(EchoRecorder()) as late:
            echo(late)
        if where == "opened":
            peer.send("one")
        gate.go_on.set()
        if where != "closed":
            assert peer.read() == "one"
            peer.close()
        assert peer.read_close()[0] == 1000
        peer.read_end()
    assert gate.wait_closed()[0] == 1000


def test_messages_behind_one_that_blocks_come_in_order_and_one_by_one(host: ThreadHost) -> None:
    gate = Gate()
    with blocked(host, gate) as peer:
        for number in range(500):
            peer.send(str(number))
        gate.go_on.set()
        assert peer.read() == "one"
        assert [peer.read() for _ in range(500)] == [str(number) for number in range(500)]
        peer.finish()
    gate.wait_closed()


def test_what_a_blocking_hook_has_sent_leaves_at_once(threads: ThreadHost) -> None:
    class Talker(Gate):
        more = threading.Event()

        def on_message(self, message: Message) -> None:
            self.send("before")
            self.block()
            self.send("after")
            assert self.more.wait(20)

    talker = Talker()
    with blocked(threads, talker) as peer:
        assert peer.read() == "before"
        talker.go_on.set()
        assert peer.read() == "after"
        talker.more.set()
        peer.finish()
    talker.wait_closed()


def test_hook_that_raises_after_blocking_closes_with_1011(threads: ThreadHost) -> None:
    class Raiser(Gate):
        def on_message(self, message: Message) -> None:
            self.block()
            raise SystemExit("not even this")

    raiser = Raiser()
    other = threads.connect(EchoRecorder())
    with blocked(threads, raiser) as peer:
        echo(other)
        raiser.go_on.set()
        assert peer.answer()[0] == 1011
    assert raiser.wait_closed()[0] == 1011
    echo(other)


def test_close_by_others_while_a_hook_blocks_is_sent_at_once(threads: ThreadHost) -> None:
    gate = Gate()
    with blocked(threads, gate) as peer:
        gate.close(4001, "enough")
        assert peer.read_close() == (4001, "enough")
        peer.close(4001)
        with pytest.raises(ConnectionClosed):
            gate.send("x")
        assert [event[0] for event in gate.seen] == ["opened", "message"]
        gate.go_on.set()
        peer.read_end()
    assert gate.wait_closed()[0] == 4001


def test_nobody_waits_for_the_loop_in_a_hook_whichever_thread_it_is_in(threads: ThreadHost) -> None:
    errors: list[str] = []

    class Asker(Gate):
        def on_message(self, message: Message) -> None:
            self.block()
            link = self._link
            assert link is not None
            assert link.is_mine
            assert not threads.manager.may_wait()
            for ask in (self.receive, link.wait_released, threads.manager.join):
                with pytest.raises(RuntimeError) as caught:
                    ask()
                errors.append(str(caught.value))

    asker = Asker()
    with blocked(threads, asker) as peer:
        echo(threads.connect(EchoRecorder()))
        assert threads.manager.may_wait()
        asker.go_on.set()
        peer.finish()
    asker.wait_closed()
    assert len(errors) == 3


def test_loop_that_may_not_be_handed_on_waits(threads: ThreadHost) -> None:
    threads.manager.handon_after = None
    gate = Gate()
    other = threads.connect(EchoRecorder())
    with blocked(threads, gate):
        other.send("hello")
        other.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.read()
        gate.go_on.set()
        other.sock.settimeout(10)
        assert other.read() == "hello"


def test_stop_does_not_wait_for_long_for_a_hook_that_blocks(host: ThreadHost) -> None:
    gate = Gate()
    other = EchoRecorder()
    with blocked(host, gate) as peer, host.connect(other) as second:
        echo(second)
        began = time.monotonic()
        host.manager.stop()
        assert time.monotonic() - began < 3
        assert not host.manager.is_alive()
        peer.read_end()
        second.read_end()
        assert other.wait_closed() == (1006, "Going away")
        assert not gate.ends
        host.manager.start()
        with host.connect(EchoRecorder()) as third:
            echo(third)
    assert gate.wait_closed() == (1006, "Going away")


def test_watchdog_sleeps_while_there_are_only_timers(threads: ThreadHost) -> None:
    class Ticking:
        """Comes back all the time, as what looks whether the server is about to end."""

        ticks = 0

        def on_deadline(self, now: float) -> None:
            self.ticks += 1
            threads.manager.schedule(self, now + 0.01)

        def on_fault(self, error: Exception) -> None:
            raise error

    ticking = Ticking()
    echo(threads.connect(EchoRecorder()))
    threads.manager.schedule(ticking, 0)
    wait_until(lambda: ticking.ticks > 1 and crew(threads).asleep)
    ticks = ticking.ticks
    wait_until(lambda: ticking.ticks > ticks + 5)
    assert crew(threads).asleep
    # And it is awake for what comes then.
    with blocked(threads, Gate()):
        echo(threads.connect(EchoRecorder()))
