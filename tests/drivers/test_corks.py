"""Corks: what goes to many leaves in one piece, in order, and nobody else waits for it."""

from __future__ import annotations

import functools
import os
import sys
from types import FrameType
from typing import Any

import pytest

from tests.core.twins import load_pure
from tests.drivers.peer import Recorder
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware import corks
from ws4py_middleware.core.prepared import PreparedMessage
from ws4py_middleware.corks import Cork, Corkable, find_cork, flush_if_let_go, hold, let_go
from ws4py_middleware.hub import Hub
from ws4py_middleware.link import Link
from ws4py_middleware.native import get_ident

__all__ = ["threads"]


def prepared(text: str) -> PreparedMessage:
    return PreparedMessage(text.encode(), True)


def backlog(recorder: Recorder) -> int:
    link = recorder._link
    assert isinstance(link, Link)
    return link.conn.backlog


def test_messages_leave_at_the_end_of_the_block_in_order(threads: ThreadHost) -> None:
    recorders = [Recorder(), Recorder()]
    peers = [threads.connect(recorder) for recorder in recorders]
    with Cork():
        for number in range(3):
            for recorder in recorders:
                assert recorder.deliver(prepared(f"{number}"))
        assert [backlog(recorder) for recorder in recorders] == [9, 9]
    assert [backlog(recorder) for recorder in recorders] == [0, 0]
    for peer in peers:
        assert [peer.read() for _ in range(3)] == ["0", "1", "2"]
        peer.finish()
    assert find_cork() is None


def test_message_for_one_takes_along_what_was_held(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    with Cork():
        recorder.deliver(prepared("one"))
        recorder.send("two")
        assert [peer.read(), peer.read()] == ["one", "two"]
        recorder.deliver(prepared("three"))
    assert peer.read() == "three"
    peer.finish()


def test_flush_lets_leave_what_is_held_so_far(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    with Cork() as cork:
        recorder.deliver(prepared("one"))
        cork.flush()
        assert peer.read() == "one"
        recorder.deliver(prepared("two"))
        assert backlog(recorder)
    assert peer.read() == "two"
    peer.finish()


def test_cork_inside_another_leaves_all_to_it(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    with Cork():
        with Cork():
            recorder.deliver(prepared("one"))
        assert backlog(recorder)
    assert peer.read() == "one"
    peer.finish()


def test_another_thread_is_not_held(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    with Cork():
        threads.spawn(lambda: recorder.deliver(prepared("from elsewhere")))()
        assert peer.read() == "from elsewhere"
    peer.finish()


def test_no_more_is_held_than_may_wait(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder, write_high_water=1000)
    with Cork():
        for _ in range(100):
            assert recorder.deliver(prepared("x" * 600))
            assert backlog(recorder) <= 1000 + 604
    assert [peer.read() for _ in range(100)] == ["x" * 600] * 100
    peer.finish()


def test_cork_that_another_thread_has_just_let_go_of_holds_nothing(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    link = recorder._link
    assert isinstance(link, Link)
    with Cork() as cork:
        former = find_cork()
        assert former is cork.held
        threads.spawn(functools.partial(let_go, get_ident()))()
        assert link.send_shared(prepared("one"), former)
        flush_if_let_go(former)
        assert peer.read() == "one"
        assert not link.is_corked
    with Cork():
        recorder.deliver(prepared("two"))
        assert backlog(recorder)
    assert peer.read() == "two"
    peer.finish()


def test_connection_that_has_ended_is_not_held(threads: ThreadHost) -> None:
    recorder = Recorder()
    peer = threads.connect(recorder)
    with Cork():
        recorder.deliver(prepared("one"))
        peer.reset()
        threads.wait_closed(recorder)
        assert not recorder.deliver(prepared("two"))


def test_fault_of_one_does_not_reach_the_others(
    threads: ThreadHost, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Corkable):
        def uncork(self) -> None:
            raise ZeroDivisionError

    recorder = Recorder()
    peer = threads.connect(recorder)
    with Cork() as cork:
        cork.held.append(Faulty())
        recorder.deliver(prepared("one"))
        cork.held.append(Faulty())
    assert peer.read() == "one"
    peer.finish()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_forked_child_holds_nothing_back() -> None:
    with Cork():
        pid = os.fork()
        if not pid:
            os._exit(find_cork() is not None)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert find_cork() is not None


def test_round_inside_a_round_loses_nothing_that_the_outer_one_holds() -> None:
    me = get_ident()
    hold(me)
    outer = find_cork()
    hold(me)  # a hook that runs a manager of its own
    assert find_cork() is outer
    let_go(me)
    assert find_cork() is None


def test_cork_that_is_let_go_of_while_it_is_found_holds_nothing() -> None:
    module = load_pure(corks)
    me = get_ident()
    source = module.find_cork.__code__

    def let_go_before(line: int) -> bool:
        """Let go of the cork right before one line of the function, as another thread may."""
        reached = []

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code is not source:
                return None
            if event == "line" and frame.f_lineno == line:
                reached.append(line)
                module.let_go(me)
            return trace

        former = sys.gettrace()
        module.hold(me)
        sys.settrace(trace)
        try:
            found = module.find_cork()
        finally:
            sys.settrace(former)
            still = module.find_cork()
            module.let_go(me)
        # Who has a list that nobody lets go of any more is told so by flush_if_let_go().
        assert not reached or still is None or found is None
        return bool(reached)

    lines = sorted({line for _, _, line in source.co_lines() if line is not None})
    assert sum(map(let_go_before, lines)) > 3


@pytest.mark.parametrize("way", ["room", "manager"])
def test_receiver_that_waits_does_not_hold_up_who_came_before_it(threads: ThreadHost, way: str) -> None:
    waiting: list[int] = []

    class Waiting(Recorder):
        def deliver(self, message: PreparedMessage) -> bool:
            waiting.append(backlog(recorder))
            threads.spawn(functools.partial(let_go, get_ident()))()  # what the watchdog does meanwhile
            return super().deliver(message)

    first, recorder, last = Waiting(), Recorder(), Waiting()
    peers = [threads.connect(one) for one in (first, recorder, last)]
    hub = Hub()
    for one in (first, recorder, last):
        hub.join(one, "red")
    hold(get_ident())
    assert (hub.publish("red", "one") if way == "room" else threads.manager.broadcast("one")) == 3
    assert waiting == [0, 0]
    for peer in peers:
        assert peer.read() == "one"
        peer.finish()
