"""The manager of greenlets: the same contract, with and without monkey-patching, and what is its own."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any
from unittest.mock import MagicMock

import gevent
import gevent.event
import gevent.os
import gevent.socket
import pytest
from gevent.monkey import is_module_patched

from tests.drivers.contract import LifecycleContract
from tests.drivers.contract_traffic import TrafficContract
from tests.drivers.greenlets import GreenletHost, host
from tests.drivers.peer import EchoRecorder, Peer, Recorder
from ws4py_middleware.handover import from_socket
from ws4py_middleware.link import Link
from ws4py_middleware.messaging import Message
from ws4py_middleware.pollers import WRITE
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["host"]


def link_of(websocket: WebSocket) -> Link:
    link = websocket._link
    assert link is not None
    return link


class TestLifecycle(LifecycleContract):
    pass


class TestTraffic(TrafficContract):
    pass


@pytest.mark.skipif(is_module_patched("socket"), reason="this is the patched run itself")
def test_all_of_this_passes_monkey_patched_too() -> None:
    beside = __file__.replace("test_greenlets.py", "test_greenlets_beside.py")
    crew = __file__.replace("test_greenlets.py", "test_greenlets_crew.py")
    command = [sys.executable, "-m", "gevent.monkey", "--module", "pytest", __file__, beside, crew]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-o", "timeout=0", "--no-cov"]
    # A greenlet is a thread then, and not the main one, which alone hears of Ctrl-C.
    options += ["-k", "not ctrl_c"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped, 1 deselected" in done.stdout


# --- greenlets ------------------------------------------------------------------------------------


def test_hook_that_waits_stops_nobody_else(host: GreenletHost) -> None:
    go_on = gevent.event.Event()

    class Handler(EchoRecorder):
        def on_message(self, message: Message) -> None:
            go_on.wait()
            super().on_message(message)

    waiting, other = Handler(), EchoRecorder()
    first, second = host.connect(waiting, ping_interval=0.02), host.connect(other)
    first.send("one")
    first.send("two")
    host.wait_until(lambda: waiting.messages)
    for number in range(20):
        second.send(str(number))
        assert second.read() == str(number)
    # Not even its own pings wait, nor what is sent to it from elsewhere.
    ping = first.read_frame()
    assert ping.opcode == 9
    waiting.send("from elsewhere")
    while (frame := first.read_frame()).opcode == 9:
        pass
    assert frame.payload == b"from elsewhere"
    assert waiting.messages == ["one"]
    go_on.set()
    host.wait_until(lambda: waiting.messages == ["one", "two"])
    first.sock.close()
    host.wait_closed(waiting)
    second.finish()


def test_hook_that_waits_while_it_sends_is_woken_by_the_hub(host: GreenletHost) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            for _ in range(100):
                self.send(bytes(1000), binary=True)

    recorder = Handler()
    peer = host.connect(recorder, host.small_pair, write_high_water=1000, write_limit=4000)
    peer.send("go")
    host.wait_until(lambda: link_of(recorder)._waiters)
    for _ in range(100):
        assert peer.read() == bytes(1000)
    peer.finish()
    host.wait_closed(recorder)


def test_add_takes_a_gevent_socket(host: GreenletHost) -> None:
    client, server = host.tcp_pair()
    recorder = EchoRecorder(sock=server)
    host.manager.add(recorder)
    host.manager.add(recorder)
    peer = Peer(client)
    peer.send("hello")
    assert peer.read() == "hello"
    peer.finish()
    assert host.wait_closed(recorder) == (1000, "")


def test_removed_websocket_is_left_alone(host: GreenletHost) -> None:
    recorder = EchoRecorder()
    peer = host.connect(recorder)
    peer.send("hello")
    assert peer.read() == "hello"
    host.manager.remove(recorder)
    host.manager.remove(recorder)
    host.manager.remove(WebSocket())
    peer.send("not read")
    host.sleep(0.02)
    assert recorder not in host.manager
    assert recorder.messages == ["hello"]
    recorder.terminate()
    link_of(recorder).release()


def test_stop_does_not_tell_one_who_is_in_a_hook(host: GreenletHost) -> None:
    go_on = gevent.event.Event()

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            go_on.wait()

    waiting, idle = Handler(), Recorder()
    first, second = host.connect(waiting), host.connect(idle)
    first.send("x")
    host.wait_until(lambda: waiting.messages and idle.seen)
    host.manager.stop()
    first.read_end()
    second.read_end()
    assert idle.wait_closed()[0] == 1006
    assert waiting.ends == []
    go_on.set()
    host.wait_until(lambda: waiting.ends)
    assert waiting.wait_closed()[0] == 1006


def test_stop_within_a_hook_does_not_wait_for_it(host: GreenletHost) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            began = time.monotonic()
            host.manager.stop()
            assert time.monotonic() - began < 0.5

    recorder = Handler()
    peer = host.connect(recorder)
    peer.send("x")
    peer.read_end()
    host.wait_until(lambda: recorder.ends)
    assert recorder.wait_closed()[0] == 1006


def test_killed_greenlet_closes_its_connection_only(host: GreenletHost) -> None:
    inside = gevent.event.Event()
    greenlets: list[Any] = []

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            greenlets.append(gevent.getcurrent())
            inside.set()
            gevent.sleep(100)

    recorder, other = Handler(), EchoRecorder()
    first, second = host.connect(recorder), host.connect(other)
    first.send("x")
    assert inside.wait(10)
    greenlets[0].kill(block=False)
    assert first.read_close() == (1011, "internal error")
    second.send("y")
    assert second.read() == "y"
    first.close()
    host.wait_closed(recorder)
    second.finish()


def test_fault_costs_one_connection_and_no_timer(
    host: GreenletHost, caplog: pytest.LogCaptureFixture
) -> None:
    """In the greenlet, when writing, and when a time has come."""
    for method in ("recv", "interest", "handle"):
        recorder, other = Recorder(), Recorder()
        first, second = host.connect(recorder, ping_interval=0.05), host.connect(other, ping_interval=0.1)
        host.wait_until(lambda r=recorder, o=other: r.seen and o.seen)  # type: ignore[misc]
        link = link_of(recorder)
        link.transport = MagicMock(wraps=link.transport)
        link._plain = None  # it is no socket
        if method == "recv":
            link.transport.recv.side_effect = ArithmeticError("a bug")
            first.send("x")
        elif method == "interest":
            link.transport.interest.side_effect = ArithmeticError("a bug")
            link.transport.send.side_effect = lambda data: 0
            with pytest.raises(ArithmeticError):
                recorder.send("x")
            host.manager._dispatch([(link.fd, WRITE)], host.manager._greenlets, [])
        else:
            link.transport.send.side_effect = ArithmeticError("a bug")
        host.wait_until(lambda r=recorder: r.ends)  # type: ignore[misc]
        assert recorder.wait_closed()[0] == 1006
        assert second.read_frame().opcode == 9
        second.sock.close()
        host.wait_closed(other)
    assert len([record for record in caplog.records if record.exc_info]) == 3


def test_sink_is_swallowed_and_closed(host: GreenletHost) -> None:
    for end in ("close", "reset", "nothing"):
        client, server = host.tcp_pair()
        dummy, sink = host.tcp_pair()
        sink.setblocking(False)
        host.manager.attach(EchoWebSocket(), from_socket(server), sink=sink._sock)
        dummy.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n" * 1000)
        if end == "reset":
            Peer(dummy).reset()
        else:
            dummy.close()
        host.wait_until(lambda sink=sink: sink.fileno() == -1)  # type: ignore[misc]
        Peer(client).finish()
        sink.close()
