"""A turn is bounded in bytes, in frames and in time; who wants more waits until the others had theirs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.drivers.gates import Gate
from tests.drivers.peer import Peer, Recorder, wait_until
from tests.drivers.threads import ThreadHost, threads
from tests.promises.wire import TEXT, frame
from ws4py_middleware.messaging import Message

__all__ = ["threads"]

COUNT = 40


class Writer(Recorder):
    """Writes its name into a list that it shares with others; each callback may take a while."""

    def __init__(self, name: str, order: list[str], seconds: float = 0.0) -> None:
        super().__init__()
        self.name = name
        self.order = order
        self.seconds = seconds

    def on_message(self, message: Message) -> None:
        self.order.append(self.name)
        time.sleep(self.seconds)


def find_longest_run(threads: ThreadHost, seconds: float = 0.0, **policy: Any) -> int:
    """
    Let two have many messages, and return how many of the first one's come in a row, at most.

    The loop is held up until all of them are there.
    """
    order: list[str] = []
    gate = Gate()
    threads.manager.handon_after = None
    holding = threads.connect(gate)
    busy = threads.connect(Writer("busy", order, seconds), **policy)
    other = threads.connect(Writer("other", order), turn_frames=1)
    holding.send("hold")
    assert gate.inside.wait(10)
    send(busy)
    send(other)
    gate.go_on.set()
    wait_until(lambda: len(order) == 2 * COUNT)
    return max(len(run.split()) for run in " ".join(order).split("other"))


def send(peer: Peer) -> None:
    peer.send_bytes(frame(TEXT, b"x" * 94) * COUNT)  # 100 bytes each


@pytest.mark.parametrize(("size", "most"), [(100, 2), (500, 6)])  # and what stands before a payload
def test_turn_reads_so_many_bytes_and_then_others_have_theirs(
    threads: ThreadHost, size: int, most: int
) -> None:
    assert find_longest_run(threads, turn_bytes=size) <= most


@pytest.mark.parametrize("most", [1, 5])
def test_turn_takes_so_many_frames_and_then_others_have_theirs(threads: ThreadHost, most: int) -> None:
    assert find_longest_run(threads, turn_frames=most) <= most


def test_turn_lasts_so_long_and_then_others_have_theirs(threads: ThreadHost) -> None:
    # The message during which the time is over is the last one.
    assert find_longest_run(threads, seconds=0.002, turn_time=0.005) <= 3


def test_turn_within_its_bounds_is_not_cut_short(threads: ThreadHost) -> None:
    assert find_longest_run(threads, turn_time=60.0) == COUNT
