"""How the connections of a process end, in every manager: the same tests for all of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.drivers.contract import Host
from tests.drivers.peer import Recorder
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.exc import HandshakeError


class DrainContract:
    """Inherited by one test class for each manager; ``host`` is its fixture."""

    def connect(self, host: Host, count: int, **options: Any) -> tuple[list[Recorder], list[Any]]:
        recorders = [Recorder() for _ in range(count)]
        peers = [host.connect(recorder, **options) for recorder in recorders]
        host.wait_until(lambda: all(recorder.seen for recorder in recorders))
        return recorders, peers

    def test_drain_closes_each_at_its_moment_and_waits(self, host: Host) -> None:
        recorders, peers = self.connect(host, 4)
        began = time.monotonic()
        join = host.spawn(lambda: host.manager.drain(1012, "back soon", window=0.4, grace=5))
        moments = []
        for peer in peers:
            assert peer.answer() == (1012, "back soon")
            moments.append(time.monotonic() - began)
        join()
        assert time.monotonic() - began < 2
        assert moments == sorted(moments)
        assert moments[1] >= 0.1
        assert moments[3] >= 0.3
        assert [recorder.wait_closed()[0] for recorder in recorders] == [1012] * 4
        assert host.manager.closing

    def test_policies_say_how_long_it_takes(self, host: Host) -> None:
        _, (first, second) = self.connect(host, 2, drain_window=0.4, drain_grace=0.2)
        began = time.monotonic()
        join = host.spawn(host.manager.drain)
        assert first.read_close()[0] == second.read_close()[0] == 1001
        assert time.monotonic() - began >= 0.2
        first.read_end()
        second.read_end()
        assert time.monotonic() - began >= 0.6
        join()
        assert len(host.manager) == 0

    def test_queued_messages_come_before_the_close(self, host: Host) -> None:
        _, (peer,) = self.connect(host, 1)
        for number in range(100):
            host.manager.broadcast(str(number))
        join = host.spawn(host.manager.drain)
        assert [peer.read() for _ in range(100)] == [str(number) for number in range(100)]
        assert peer.answer()[0] == 1001
        join()

    def test_new_ones_are_refused_and_a_late_one_is_told_the_same(self, host: Host) -> None:
        _, (peer,) = self.connect(host, 1)
        host.manager.begin_drain(1012, "back soon", grace=0.3)
        with pytest.raises(HandshakeError) as raised:
            host.manager.check_capacity(Policy())
        assert (raised.value.status, dict(raised.value.headers)["Retry-After"]) == (503, "1")
        late = host.connect(Recorder())
        assert late.read_close() == peer.read_close() == (1012, "back soon")
        late.read_end()
        peer.read_end()

    def test_second_one_joins_the_first_and_may_be_in_more_of_a_hurry(self, host: Host) -> None:
        _, peers = self.connect(host, 3)
        drain = host.manager.begin_drain(1012, "back soon", window=30)
        assert host.manager.begin_drain(1001, "not this") is drain
        began = time.monotonic()
        join = host.spawn(lambda: host.manager.shutdown(timeout=0.3))
        for peer in peers:
            assert peer.read_close() == (1012, "back soon")
        assert time.monotonic() - began < 0.25
        for peer in peers:
            peer.read_end()
        join()

    def test_those_who_come_later_are_left_alone_where_none_is_refused(self, host: Host) -> None:
        _, (peer, deaf) = self.connect(host, 2)
        host.manager.begin_drain(1012, "move on", grace=0.2, refuse=False)
        new = host.connect(Recorder())
        assert peer.answer() == deaf.read_close() == (1012, "move on")
        deaf.read_end()
        host.manager.check_capacity(Policy())
        new.send("still here")
        host.wait_until(lambda: len(host.manager) == 1)
        assert new.finish() == (1000, "")

    def test_drain_in_a_hook_goes_on_by_itself(self, host: Host) -> None:
        class Leader(Recorder):
            def received_message(self, message: Any) -> None:
                host.manager.drain(1012, "all of you", window=0.2, grace=1)

        _, (follower,) = self.connect(host, 1)
        leader = host.connect(Leader())
        leader.send("now")
        assert leader.answer()[0] == follower.answer()[0] == 1012
        host.wait_until(lambda: len(host.manager) == 0)
