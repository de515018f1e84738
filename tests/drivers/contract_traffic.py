"""What every manager does with messages; the other half of ``contract.py``."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from tests.core.wire import BINARY, CONT, PING, PONG, TEXT
from tests.drivers.contract import Host
from tests.drivers.peer import EchoRecorder, Recorder, build
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.functions import handler_class
from ws4py_middleware.messaging import Message
from ws4py_middleware.websocket import EchoWebSocket, WebSocket


class TrafficContract:
    """Inherited by one test class for each manager; ``host`` is its fixture."""

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
        assert peer.answer() == (1000, "")
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
        for _ in range(50):
            began = time.monotonic()
            good.send("x")
            assert good.read() == "x"
            times.append(time.monotonic() - began)
        stop = True
        join()
        times.sort()
        # Who floods, who is served and who serves share one interpreter here, and so its lock. With
        # processes of their own, and the promised numbers, it is P7 in tests/promises.
        assert times[25] < 0.1
        assert times[48] < 1
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

    def test_function_that_sends_to_one_who_has_left_ends_silently(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        ended: list[str] = []

        def push(ws: WebSocket) -> None:
            try:
                while True:
                    ws.send("x")
                    host.sleep(0.001)
            finally:
                ended.append("yes")

        peer = host.connect(handler_class(push)())
        assert peer.read() == "x"
        peer.sock.close()
        host.wait_until(lambda: ended and not len(host.manager))
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_function_that_exits_closes_with_1011(self, host: Host) -> None:
        def leave(ws: WebSocket) -> None:
            raise SystemExit

        peer = host.connect(handler_class(leave)())
        assert peer.answer() == (1011, "internal error")
        host.wait_until(lambda: not len(host.manager))
