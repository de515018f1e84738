"""ws4py's heartbeat."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.core.wire import PONG
from tests.drivers.peer import Peer, Recorder, tcp_pair
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.websocket import Heartbeat, WebSocket

__all__ = ["threads"]


def test_heartbeat_sends_unasked_pongs_until_stopped(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    websocket = WebSocket(sock=server)
    with Peer(client) as peer:
        with Heartbeat(websocket, frequency=0.01) as heartbeat:
            for _ in range(3):
                assert peer.read_frame() == (PONG, b"beep", True)
        heartbeat.join(10)
        assert not heartbeat.is_alive()
    websocket.terminate()


@pytest.mark.parametrize("error", [OSError, None])
def test_heartbeat_that_fails_closes_the_connection_and_ends(error: type[OSError] | None) -> None:
    websocket: Any = MagicMock()
    websocket.send.side_effect = error or ConnectionClosed("gone")
    heartbeat = Heartbeat(websocket, frequency=0.001)
    heartbeat.start()
    heartbeat.join(10)
    websocket.close_connection.assert_called_once_with()


@pytest.mark.parametrize("frequency", [None, 0])
def test_heartbeat_without_a_frequency_does_nothing(frequency: float | None) -> None:
    websocket: Any = MagicMock()
    with Heartbeat(websocket, frequency) as heartbeat:
        assert not heartbeat.is_alive()
    heartbeat.run()
    websocket.send.assert_not_called()


def test_heartbeat_freq_beats_in_run(threads: ThreadHost) -> None:
    client, server = tcp_pair()
    websocket = Recorder(sock=server, heartbeat_freq=0.01)
    join = threads.spawn(websocket.run)
    with Peer(client) as peer:
        for _ in range(3):
            assert peer.read_frame() == (PONG, b"beep", True)
    join()
    websocket.wait_closed()
