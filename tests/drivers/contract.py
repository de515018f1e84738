"""What every manager does, whatever it waits with: the same tests for threads and for greenlets."""

from __future__ import annotations

import logging
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.wire import CLOSE, PING, PONG, TEXT
from tests.drivers import peer as peers
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.registry import Registry
from ws4py_middleware.websocket import WebSocket


class Host(ABC):
    """A manager, and the way of waiting that goes with it."""

    manager: Registry

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    @abstractmethod
    def sleep(self, seconds: float) -> None: ...
    @abstractmethod
    def tcp_pair(self) -> tuple[Any, Any]: ...
    @abstractmethod
    def socketpair(self) -> tuple[Any, Any]: ...

    @abstractmethod
    def spawn(self, function: Callable[[], object]) -> Callable[[], None]:
        """Run a function beside; return what joins it, and raises what it raised."""

    def small_pair(self) -> tuple[Any, Any]:
        client, server = self.socketpair()
        for sock in (client, server):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return client, server

    def connect(
        self, websocket: WebSocket, pair: Callable[[], tuple[Any, Any]] | None = None, **options: Any
    ) -> Peer:
        peer = peers.connect(self.manager, websocket, pair=pair or self.tcp_pair, **options)
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        """End what a test has left."""
        for peer in self.peers:
            peer.sock.close()
        self.manager.stop()
        assert len(self.manager) == 0

    def wait_until(self, condition: Callable[[], object]) -> None:
        peers.wait_until(condition, sleep=self.sleep)

    def wait_closed(self, recorder: Recorder) -> tuple[int, str]:
        self.wait_until(lambda: recorder.ends)
        self.wait_until(lambda: recorder not in self.manager)
        return recorder.wait_closed()


class LifecycleContract:
    """Inherited by one test class for each manager; ``host`` is its fixture."""

    # --- lifecycle ---

    def test_hooks_come_in_order_and_closed_once(self, host: Host) -> None:
        recorder = EchoRecorder()
        peer = host.connect(recorder)
        for text in ("one", "two"):
            peer.send(text)
            assert peer.read() == text
        peer.send(b"\x00\xff")
        assert peer.read() == b"\x00\xff"
        peer.pong(b"unasked")
        assert peer.finish(4001) == (4001, "")
        assert host.wait_closed(recorder) == (4001, "")
        assert recorder.seen == [
            ("opened",),
            ("message", "one"),
            ("message", "two"),
            ("message", b"\x00\xff"),
            ("ponged", b"unasked"),
            ("closed", 4001, ""),
        ]
        assert len(host.manager) == 0

    def test_early_bytes_come_first_also_half_a_frame(self, host: Host) -> None:
        recorder = Recorder()
        wire = build(TEXT, b"first") + build(TEXT, b"second")
        peer = host.connect(recorder, early=wire[:15])
        peer.send_bytes(wire[15:])
        peer.finish()
        host.wait_closed(recorder)
        assert recorder.messages == ["first", "second"]

    def test_many_messages_in_one_read_are_all_delivered_in_order(self, host: Host) -> None:
        """More than ``turn_frames``: the rest comes without another byte from the network."""
        recorder = Recorder()
        peer = host.connect(recorder)
        texts = [str(number) for number in range(3000)]
        peer.send_bytes(b"".join(build(TEXT, text.encode()) for text in texts))
        host.wait_until(lambda: len(recorder.messages) == 3000)
        assert recorder.messages == texts
        peer.finish()
        host.wait_closed(recorder)

    def test_close_by_the_server_is_answered_and_ends(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder)
        recorder.close(4000, "done")
        recorder.close(4009, "again does nothing")
        assert peer.read_close() == (4000, "done")
        with pytest.raises(ConnectionClosed):
            recorder.send("too late")
        peer.send("still on its way")
        peer.close(4000)
        peer.read_end()
        assert host.wait_closed(recorder) == (4000, "")
        assert recorder.messages == ["still on its way"]

    def test_close_in_opened_ends_after_the_handshake(self, host: Host) -> None:
        class Handler(Recorder):
            def on_opened(self) -> None:
                self.send("welcome")
                self.close(4002, "no")

        recorder = Handler()
        peer = host.connect(recorder)
        assert peer.read() == "welcome"
        assert peer.answer() == (4002, "no")
        assert host.wait_closed(recorder) == (4002, "")

    @pytest.mark.parametrize("end", ["eof", "eof in a frame", "reset", "close and reset"])
    def test_peer_that_vanishes_is_closed_with_1006(self, host: Host, end: str) -> None:
        recorder = Recorder()
        peer = host.connect(recorder)
        peer.send("hello")
        host.wait_until(lambda: recorder.messages)
        code = 1006
        if end == "eof in a frame":
            peer.send_bytes(build(TEXT, b"x" * 1000)[:-1])
        if end == "close and reset":
            peer.close(1001)
            code = 1001
            assert peer.read_close() == (1001, "")
        if end.startswith("eof"):
            peer.sock.close()
        else:
            peer.reset()
        assert host.wait_closed(recorder)[0] == code
        assert [event[0] for event in recorder.seen] == ["opened", "message", "closed"]

    @pytest.mark.parametrize("hook", ["opened", "message", "ponged"])
    def test_hook_that_raises_closes_with_1011_and_logs_once(
        self, host: Host, hook: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Handler(Recorder):
            def boom(self, *_: Any) -> None:
                raise ValueError("boom")

        neighbour = EchoRecorder()
        other = host.connect(neighbour)
        recorder = Handler()
        setattr(recorder, f"on_{hook}", recorder.boom)
        peer = host.connect(recorder)
        began = time.monotonic()
        if hook != "opened":
            peer.send_bytes((build(TEXT) if hook == "message" else build(PONG)) * 3)
        assert peer.read_close()[0] == 1011
        assert time.monotonic() - began < 0.1
        peer.close(1011)
        peer.read_end()
        assert host.wait_closed(recorder)[0] == 1011
        errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(errors) == 1
        assert errors[0].exc_info is not None
        other.send("unharmed")
        assert other.read() == "unharmed"
        other.finish()

    def test_closed_that_raises_is_logged_once_and_the_socket_closed(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Handler(Recorder):
            def on_closed(self, code: int) -> None:
                raise SystemExit("not even this ends the loop")

        recorder = Handler()
        peer = host.connect(recorder)
        peer.finish()
        assert host.wait_closed(recorder) == (1000, "")
        assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
        again = EchoRecorder()
        with host.connect(again) as peer:
            peer.send("alive")
            assert peer.read() == "alive"
        host.wait_closed(again)

    def test_terminate_ends_at_once(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder)
        host.wait_until(lambda: recorder.seen)
        recorder.terminate()
        recorder.terminate()
        peer.read_end()
        assert host.wait_closed(recorder) == (1006, "Going away")
        assert recorder.terminated
        with pytest.raises(RuntimeError):
            recorder.send("after the end")

    def test_protocol_error_is_told_with_its_code(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder)
        peer.send_bytes(build(TEXT, b"before") + b"\xff\xff")
        code, reason = peer.read_close()
        assert code == 1002
        peer.read_end()
        assert host.wait_closed(recorder) == (1002, reason)
        assert recorder.messages == ["before"]

    def test_close_all_closes_all_with_1001(self, host: Host) -> None:
        recorders = [Recorder() for _ in range(5)]
        ends = [host.connect(recorder) for recorder in recorders]
        assert len(host.manager) == 5
        assert set(host.manager) == set(recorders)
        assert recorders[0] in host.manager
        host.manager.close_all()
        for peer in ends:
            assert peer.answer() == (1001, "Server is shutting down")
        for recorder in recorders:
            host.wait_closed(recorder)

    def test_shutdown_waits_and_drops_who_does_not_answer(self, host: Host) -> None:
        polite, deaf = Recorder(), Recorder()
        first, second = host.connect(polite), host.connect(deaf)
        host.wait_until(lambda: polite.seen and deaf.seen)
        join = host.spawn(lambda: host.manager.shutdown(timeout=0.3))
        assert first.answer() == (1001, "Server is shutting down")
        assert second.read_close()[0] == 1001
        second.read_end()
        join()
        assert polite.wait_closed() == (1001, "")
        assert deaf.wait_closed() == (1006, "Going away")
        assert len(host.manager) == 0

    # --- timers ---

    def test_keepalive_measures_latency(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, ping_interval=0.02, ping_timeout=5.0)
        frame = peer.read_frame()
        assert frame.opcode == PING
        peer.pong(frame.payload)
        host.wait_until(lambda: recorder.latency is not None)
        assert recorder.latency is not None
        assert 0 <= recorder.latency < 5
        peer.reset()
        host.wait_closed(recorder)
        assert ("ponged", frame.payload) not in recorder.seen

    def test_heartbeat_freq_is_the_interval_of_the_pings(self, host: Host) -> None:
        recorder = Recorder(heartbeat_freq=0.02)
        with host.connect(recorder) as peer:
            assert peer.read_frame().opcode == PING
        host.wait_closed(recorder)

    def test_ping_deaf_peer_is_dropped(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, ping_interval=0.02, ping_timeout=0.05)
        assert peer.read_frame().opcode == PING
        while (frame := peer.read_frame()).opcode == PING:
            pass
        assert (frame.opcode, frame.payload[:2]) == (CLOSE, b"\x03\xf3")
        peer.read_end()
        assert host.wait_closed(recorder) == (1011, "no pong within 0.05 s")

    def test_stuck_peer_is_dropped_with_a_reset(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, write_timeout=0.1, write_limit=2**24)
        recorder.send(bytes(2**23), binary=True)
        began = time.monotonic()
        assert host.wait_closed(recorder)[0] == 1006
        assert time.monotonic() - began < 2
        # A FIN would wait behind what the peer does not read, for minutes.
        with pytest.raises(ConnectionResetError):
            list(peer.frames())

    def test_close_deaf_peer_is_dropped(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, close_timeout=0.05)
        recorder.close(4000)
        assert peer.read_close() == (4000, "")
        peer.read_end()
        assert host.wait_closed(recorder) == (1006, "the closing handshake did not end within 0.05 s")

    def test_idle_peer_is_closed(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, idle_timeout=0.05)
        assert peer.read_close() == (1000, "no message within 0.05 s")
        peer.close(1000, b"well then")
        peer.read_end()
        assert host.wait_closed(recorder) == (1000, "well then")
