"""What every manager does, whatever it waits with: the same tests for threads and for greenlets."""

from __future__ import annotations

import logging
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT
from tests.drivers import peer as peers
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message
from ws4py_middleware.registry import Registry
from ws4py_middleware.websocket import EchoWebSocket, WebSocket, handler_class


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


class Contract:
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
        assert peer.finish() == (4002, "no")
        assert host.wait_closed(recorder) == (1000, "")

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
            assert peer.finish() == (1001, "Server is shutting down")
        for recorder in recorders:
            host.wait_closed(recorder)

    def test_shutdown_waits_and_drops_who_does_not_answer(self, host: Host) -> None:
        polite, deaf = Recorder(), Recorder()
        first, second = host.connect(polite), host.connect(deaf)
        host.wait_until(lambda: polite.seen and deaf.seen)
        join = host.spawn(lambda: host.manager.shutdown(timeout=0.3))
        assert first.finish() == (1001, "Server is shutting down")
        assert second.read_close()[0] == 1001
        second.read_end()
        join()
        assert polite.wait_closed() == (1000, "")
        assert deaf.wait_closed() == (1006, "Going away")
        assert len(host.manager) == 0

    # --- waiting ---

    def test_send_beyond_high_water_waits_and_goes_on(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, host.small_pair, write_high_water=1000)
        sent: list[int] = []

        def send() -> None:
            for number in range(50):
                recorder.send(bytes([number]) * 1000, binary=True)
                sent.append(number)

        join = host.spawn(send)
        host.wait_until(lambda: recorder._link is not None and recorder._link._waiters)
        assert 1 <= len(sent) < 50
        for number in range(50):
            assert peer.read() == bytes([number]) * 1000
        join()
        peer.finish()
        host.wait_closed(recorder)

    def test_sender_that_waits_is_told_of_the_end(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, host.small_pair, write_high_water=1000)

        def send() -> None:
            while True:
                recorder.send(bytes(1000), binary=True)

        join = host.spawn(send)
        host.wait_until(lambda: recorder._link is not None and recorder._link._waiters)
        peer.sock.close()
        with pytest.raises(ConnectionClosed):
            join()
        host.wait_closed(recorder)

    def test_echo_flood_of_one_who_does_not_read_is_paused_and_loses_nothing(self, host: Host) -> None:
        recorder = EchoRecorder()
        peer = host.connect(recorder, host.small_pair, write_high_water=2000)
        count = 400
        join = host.spawn(lambda: peer.send_bytes(build(BINARY, bytes(997)) * count))
        link = recorder._link
        assert link is not None
        host.wait_until(lambda: link.paused)
        assert len(recorder.messages) < count
        assert link.conn.queued < 2000 + 2 * 1001
        for _ in range(count):
            assert peer.read() == bytes(997)
        join()
        assert len(recorder.messages) == count
        peer.finish()
        host.wait_closed(recorder)

    def test_unread_pings_do_not_pile_up(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder, host.small_pair, write_high_water=2000, max_control_frames=None)
        link = recorder._link
        assert link is not None
        wire = build(PING, bytes(125)) * 1000 + build(PING, b"last")
        join = host.spawn(lambda: peer.send_bytes(wire))
        host.wait_until(lambda: link.blocked)
        assert link.conn.queued <= 2000 + 2 * 127
        for frame in peer.frames():
            assert frame.opcode == PONG
            assert link.conn.queued <= 2000 + 2 * 127
            if frame.payload == b"last":
                break
        join()
        peer.finish()
        host.wait_closed(recorder)

    def test_big_message_in_both_directions(self, host: Host) -> None:
        recorder = EchoRecorder()
        peer = host.connect(recorder)
        data = bytes(range(256)) * 4096
        join = host.spawn(lambda: peer.send(data))
        assert peer.read() == data
        join()
        peer.finish()
        host.wait_closed(recorder)

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

    # --- functions, and messages that are asked for ---

    def test_function_handler_echoes_and_ends_with_1000(self, host: Host) -> None:
        seen: list[Any] = []

        def echo(ws: WebSocket, room: str) -> None:
            seen.append(room)
            for message in ws:
                ws.send(message)
                if str(message) == "bye":
                    return

        websocket = handler_class(echo)()
        websocket.params = {"room": "blue"}
        peer = host.connect(websocket)
        for text in ("hello", "bye"):
            peer.send(text)
            assert peer.read() == text
        assert peer.finish() == (1000, "")
        assert seen == ["blue"]
        host.wait_until(lambda: not len(host.manager))

    def test_function_handler_loses_nothing_before_it_asks(self, host: Host) -> None:
        received: list[str] = []

        def slow(ws: WebSocket) -> None:
            host.sleep(0.05)
            received.extend(str(message) for message in ws)

        texts = [str(number) for number in range(1000)]
        wire = b"".join(build(TEXT, text.encode()) for text in texts)
        peer = host.connect(handler_class(slow)(), early=wire)
        peer.close()
        peer.read_close()
        host.wait_until(lambda: len(received) == 1000)
        assert received == texts
        peer.read_end()

    def test_function_handler_that_raises_closes_with_1011_and_logs_once(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        def boom(ws: WebSocket) -> None:
            raise SystemExit if ws.receive() is None else ValueError("boom")

        peer = host.connect(handler_class(boom)())
        peer.send("x")
        assert peer.read_close() == (1011, "internal error")
        assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1

    def test_receive_times_out_and_goes_on(self, host: Host) -> None:
        websocket = WebSocket()
        peer = host.connect(websocket)
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            websocket.receive(timeout=0.01)
        peer.send("late")
        message = websocket.receive(timeout=5)
        assert message is not None
        assert str(message) == "late"
        host.spawn(peer.finish)()
        assert websocket.receive() is None
        assert list(websocket) == []

    def test_inbox_that_is_full_stops_reading(self, host: Host) -> None:
        websocket = WebSocket()
        peer = host.connect(websocket, receive_queue_messages=4)
        with pytest.raises(TimeoutError):
            websocket.receive(timeout=0)
        link = websocket._link
        assert link is not None
        texts = [str(number) for number in range(100)]
        peer.send_bytes(b"".join(build(TEXT, text.encode()) for text in texts))
        host.wait_until(lambda: link.paused)
        assert link._inbox is not None
        assert len(link._inbox) == 4
        assert [str(websocket.receive(5)) for _ in range(100)] == texts
        peer.finish()
        assert websocket.receive() is None

    def test_receive_of_nobody_does_not_stall(self, host: Host) -> None:
        """A class without ``received_message()`` that only sends must go on seeing the peer's pongs."""
        websocket = WebSocket()
        peer = host.connect(websocket)
        peer.send_bytes(build(BINARY, bytes(1000)) * 5000)
        peer.ping(b"there?")
        assert peer.read_frame() == (PONG, b"there?", True)
        peer.finish()

    def test_receive_in_a_hook_is_refused(self, host: Host) -> None:
        class Handler(Recorder):
            def on_message(self, message: Message) -> None:
                with pytest.raises(RuntimeError, match="received_message"):
                    self.receive(timeout=0)
                self.send("refused")

        recorder = Handler()
        peer = host.connect(recorder)
        peer.send("x")
        assert peer.read() == "refused"
        peer.finish()
        host.wait_closed(recorder)

    # --- many frames, many connections ---

    def test_generator_is_one_fragmented_message(self, host: Host) -> None:
        recorder = Recorder()
        peer = host.connect(recorder)
        recorder.send(part for part in ("un", b"deux", bytearray(b"trois")))
        assert [peer.read_frame() for _ in range(3)] == [
            (TEXT, b"un", False),
            (CONT, b"deux", False),
            (CONT, b"trois", True),
        ]
        peer.finish()
        host.wait_closed(recorder)

    def test_broadcast_with_three_stuck_of_four_reaches_the_good_one_in_order(self, host: Host) -> None:
        recorders = [Recorder() for _ in range(4)]
        ends = [host.connect(recorder) for recorder in recorders]
        host.wait_until(lambda: all(recorder.seen for recorder in recorders))
        count, size = 400, 65536
        received: list[bytes] = []

        def read() -> None:
            for _ in range(count):
                message = ends[0].read()
                assert isinstance(message, bytes)
                received.append(message[:4])

        join = host.spawn(read)
        for number in range(count):
            data = number.to_bytes(4, "big") + bytes(size - 4)
            began = time.monotonic()
            host.manager.broadcast(data, binary=True)
            assert time.monotonic() - began < 0.5
            # As fast as the good one reads, and no faster.
            host.wait_until(lambda limit=number - 4: len(received) >= limit)  # type: ignore[misc]
            for recorder in recorders:
                assert recorder._link is not None
                assert recorder._link.conn.queued <= 2**20
        join()
        assert received == [number.to_bytes(4, "big") for number in range(count)]
        # 26 MB did not fit into the buffers of the stuck ones.
        for recorder in recorders[1:]:
            assert host.wait_closed(recorder)[0] == 1013
        assert recorders[0] in host.manager
        ends[0].finish()
        host.wait_closed(recorders[0])

    def test_flood_of_empty_messages_does_not_delay_the_others(self, host: Host) -> None:
        flooded = WebSocket()
        flooded.received_message = lambda message: None  # type: ignore[method-assign]
        bad = host.connect(flooded)
        good = host.connect(EchoWebSocket())
        wire = build(TEXT) * 10_000 + build(TEXT, fin=False) + build(CONT, fin=False) * 4000 + build(CONT)
        stop = False

        def flood() -> None:
            while not stop:
                bad.send_bytes(wire)

        join = host.spawn(flood)
        times = []
        for _ in range(100):
            began = time.monotonic()
            good.send("x")
            assert good.read() == "x"
            times.append(time.monotonic() - began)
        stop = True
        join()
        assert sorted(times)[98] < 0.1
        bad.sock.close()
        good.finish()

    def test_churn_leaves_nothing(self, host: Host) -> None:
        for _ in range(3):
            recorders = [EchoRecorder() for _ in range(50)]
            for peer in [host.connect(recorder) for recorder in recorders]:
                peer.send("x")
                assert peer.read() == "x"
                peer.finish()
            for recorder in recorders:
                host.wait_closed(recorder)
        assert len(host.manager) == 0
