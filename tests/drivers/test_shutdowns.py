"""Signals: each manager in the main thread hears them, and who asked for them before hears afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from ws4py_middleware import WebSocket
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.shutdowns import chain_signals
from ws4py_middleware.tasks import TaskManager

Heard = list[list[bool]]


@pytest.fixture
def managers() -> list[TaskManager]:
    """The managers whose state is noted when the signal comes through."""
    return []


@pytest.fixture
def heard(managers: list[TaskManager]) -> Iterator[Heard]:
    """What the handler that was there before has seen."""
    heard: Heard = []
    before = signal.signal(
        signal.SIGTERM, lambda number, frame: heard.append([manager.closing for manager in managers])
    )
    interrupt = signal.getsignal(signal.SIGINT)
    yield heard
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, interrupt)


async def terminate(heard: Heard) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    while not heard:
        await asyncio.sleep(0.001)


def test_all_managers_of_a_loop_close_before_who_was_there_hears(
    managers: list[TaskManager], heard: Heard
) -> None:
    async def main() -> None:
        managers.extend([TaskManager(), TaskManager()])
        for manager in managers:
            assert chain_signals(manager)
            assert chain_signals(manager)  # again does nothing
        await terminate(heard)

    asyncio.run(asyncio.wait_for(main(), 10))
    assert heard == [[True, True]]


def test_loops_one_after_the_other(managers: list[TaskManager], heard: Heard) -> None:
    async def main(*, ends: bool) -> None:
        managers[:] = [TaskManager()]
        assert chain_signals(managers[0])
        if ends:
            await terminate(heard)

    for ends in (False, False, True):
        asyncio.run(asyncio.wait_for(main(ends=ends), 10))
    assert heard == [[True]]


class Patient(WebSocket):
    policy = Policy(drain_window=40, drain_grace=20)


@pytest.mark.parametrize("way", ["handler", "descriptor"])
def test_who_presses_ctrl_c_again_waits_no_longer(way: str) -> None:
    interrupt = signal.getsignal(signal.SIGINT)
    heard: list[int] = []

    def hear(number: int = 0, frame: object = None) -> None:
        heard.append(signal.SIGINT)

    async def main() -> None:
        if way == "handler":
            signal.signal(signal.SIGINT, hear)
        else:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, hear)
        manager = TaskManager()
        pairs = [socket.socketpair() for _ in range(3)]
        for _, ours in pairs:
            manager.add(Patient(ours))
        assert chain_signals(manager)
        os.kill(os.getpid(), signal.SIGINT)
        while not manager.closing:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert (len(manager), heard) == (3, [])
        os.kill(os.getpid(), signal.SIGINT)
        while len(heard) < 2:
            await asyncio.sleep(0.01)
        assert not len(manager)
        for peer, _ in pairs:
            with peer:
                assert peer.recv(100)[2:4] == (1001).to_bytes(2, "big")  # each was told, and is cut
                assert peer.recv(100) == b""

    began = time.monotonic()
    try:
        asyncio.run(asyncio.wait_for(main(), 20))
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert time.monotonic() - began < 5
