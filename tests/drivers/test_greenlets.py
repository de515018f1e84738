"""The manager of greenlets: the same contract, with and without monkey-patching, and what is its own."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import gevent
import gevent.event
import gevent.os
import gevent.socket
import pytest
from gevent.monkey import get_original, is_module_patched

from tests.core.wire import BINARY, TEXT
from tests.drivers.contract import Host, LifecycleContract
from tests.drivers.contract_traffic import TrafficContract
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build
from ws4py_middleware.greenlets import GreenletManager
from ws4py_middleware.handover import from_socket
from ws4py_middleware.link import Link
from ws4py_middleware.messaging import Message
from ws4py_middleware.websocket import EchoWebSocket, WebSocket


class GreenletHost(Host):
    def __init__(self) -> None:
        super().__init__()
        self.manager: GreenletManager = GreenletManager()

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def tcp_pair(self) -> tuple[Any, Any]:
        listener = gevent.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = gevent.socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        listener.close()
        return client, server

    def socketpair(self) -> tuple[Any, Any]:
        client, server = gevent.socket.socketpair()
        return client, server

    def spawn(self, function: Callable[[], object]) -> Callable[[], None]:
        greenlet = gevent.spawn(function)

        def join() -> None:
            greenlet.get(timeout=10)

        return join

    def in_thread(self, function: Callable[[], object]) -> Callable[[], None]:
        """Run a function in a thread of the system, also when ``threading`` is patched."""
        result = gevent.get_hub().threadpool.spawn(function)

        def join() -> None:
            result.get(timeout=10)

        return join


@pytest.fixture
def host() -> Iterator[GreenletHost]:
    host = GreenletHost()
    yield host
    host.close()
    assert host.manager._seats == {}
    assert len(host.manager._timers) == 0


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
    command = [sys.executable, "-m", "gevent.monkey", "--module", "pytest", __file__]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-o", "timeout=0", "--no-cov"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout


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
        if method == "recv":
            link.transport.recv.side_effect = ArithmeticError("a bug")
            first.send("x")
        elif method == "interest":
            link.transport.interest.side_effect = ArithmeticError("a bug")
            link.transport.send.side_effect = lambda data: 0
            with pytest.raises(ArithmeticError):
                recorder.send("x")
            host.manager._on_writable(link)
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


# --- threads of the system beside it ----------------------------------------------------------------


def test_thread_may_send_wait_and_receive(host: GreenletHost) -> None:
    recorder = Recorder()
    peer = host.connect(recorder, host.small_pair, write_high_water=1000)
    fds = len(os.listdir("/proc/self/fd"))

    def send() -> None:
        for number in range(100):
            recorder.send(number.to_bytes(2, "big") * 500, binary=True)
        recorder.send((b"x" * 100 for _ in range(10)), binary=True)

    join = host.in_thread(send)
    host.wait_until(lambda: link_of(recorder)._waiters)
    # It waits without a hub of its own, which would cost descriptors.
    assert len(os.listdir("/proc/self/fd")) <= fds + 2
    for number in range(100):
        assert peer.read() == number.to_bytes(2, "big") * 500
    assert peer.read() == b"x" * 1000
    join()
    peer.finish()
    host.wait_closed(recorder)


def test_thread_may_receive_and_iterate(host: GreenletHost) -> None:
    websocket = WebSocket()
    peer = host.connect(websocket, receive_queue_messages=2)
    received: list[str] = []

    def receive() -> None:
        with pytest.raises(TimeoutError):
            websocket.receive(timeout=0.01)
        received.append("ready")
        received.extend(str(message) for message in websocket)

    join = host.in_thread(receive)
    host.wait_until(lambda: received)
    for number in range(50):
        peer.send(str(number))
    peer.finish()
    join()
    assert received[1:] == [str(number) for number in range(50)]


def test_threads_and_greenlets_never_interleave(host: GreenletHost) -> None:
    recorder = Recorder()
    peer = host.connect(recorder, write_high_water=2000)
    count = 200

    def send(name: str) -> Callable[[], None]:
        def run() -> None:
            for number in range(count):
                text = f"{name} {number} " + name * 50
                recorder.send(text if number % 3 else [text[:20], text[20:]])

        return run

    joins = [host.in_thread(send(name)) for name in "AB"] + [host.spawn(send(name)) for name in "CD"]
    received = dict.fromkeys("ABCD", 0)
    for _ in range(4 * count):
        name, number, rest = str(peer.read()).split(" ")
        assert (int(number), rest) == (received[name], name * 50)
        received[name] += 1
    for join in joins:
        join()
    peer.finish()
    host.wait_closed(recorder)


def test_thread_may_terminate_and_broadcast(host: GreenletHost) -> None:
    recorder, other = Recorder(), Recorder()
    first, second = host.connect(recorder), host.connect(other)
    host.wait_until(lambda: recorder.seen and other.seen)
    host.in_thread(lambda: host.manager.broadcast("hello"))()
    assert first.read() == second.read() == "hello"
    host.in_thread(recorder.terminate)()
    first.read_end()
    host.wait_closed(recorder)
    host.in_thread(lambda: other.close(4000))()
    assert second.answer() == (4000, "")
    host.wait_closed(other)


# --- what it costs ----------------------------------------------------------------------------------


def test_idle_connections_cost_no_cpu(host: GreenletHost) -> None:
    ends = [host.connect(EchoWebSocket()) for _ in range(50)]
    for peer in ends:
        peer.send("x")
        peer.read()
    began = time.process_time()
    host.sleep(1.0)
    assert time.process_time() - began < 0.02
    for peer in ends:
        peer.sock.close()


@pytest.mark.parametrize("end", ["close", "reset", "eof", "terminate"])
def test_nothing_keeps_a_connection_alive_after_its_end(host: GreenletHost, end: str) -> None:
    gc.collect()
    gc.disable()
    logging.disable()
    try:
        websocket = EchoRecorder()
        peer = host.connect(websocket)
        peer.send("x")
        peer.read()
        alive: list[Any] = [weakref.ref(websocket), weakref.ref(link_of(websocket))]
        if end == "close":
            peer.finish()
        elif end == "reset":
            peer.reset()
        elif end == "terminate":
            websocket.terminate()
        else:
            peer.sock.close()
        del websocket
        host.wait_until(lambda: not len(host.manager))
        host.wait_until(lambda: not any(ref() for ref in alive))
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def test_thousand_connections_leave_no_descriptor_and_no_thread(host: GreenletHost) -> None:
    def churn() -> None:
        ends = [host.connect(EchoWebSocket()) for _ in range(50)]
        for peer in ends:
            peer.send_bytes(build(TEXT, b"x") + build(BINARY, b"y"))
            assert (peer.read(), peer.read()) == ("x", b"y")
            peer.finish()
        host.peers.clear()
        host.wait_until(lambda: not len(host.manager))

    churn()
    gc.collect()
    fds, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(20):
        churn()
    host.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == fds
    assert threading.active_count() == threads


# --- processes --------------------------------------------------------------------------------------


def test_forked_child_is_silent_on_the_parents_connections(host: GreenletHost) -> None:
    recorder = EchoRecorder()
    peer = host.connect(recorder, ping_interval=0.05)
    peer.send("before")
    assert peer.read() == "before"
    child = gevent.fork()
    if not child:
        try:
            assert len(host.manager) == 0
            assert not recorder.is_open
            recorder.close()
            gevent.sleep(0.2)  # the parent's watchers and timers would run here
            assert recorder.ends == []
            client, server = host.socketpair()
            ours = EchoRecorder()
            host.manager.attach(ours, from_socket(server))
            with Peer(client) as other:
                other.send("child")
                assert other.read() == "child"
            host.wait_until(lambda: ours.ends)
            os._exit(0)
        except BaseException:
            logging.getLogger().exception("in the child")
            os._exit(1)
    deadline = time.monotonic() + 10
    while (ended := gevent.os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline
        gevent.sleep(0.01)
    assert ended[1] == 0
    peer.send("after")
    frames = list(iter(peer.read_frame, (TEXT, b"after", True)))
    numbers = [int.from_bytes(frame.payload, "big") for frame in frames]
    assert numbers == list(range(1, len(numbers) + 1))  # each ping once
    peer.sock.close()
    host.wait_closed(recorder)


def test_manager_of_the_process_is_made_once_and_ends_with_it() -> None:
    script = """if True:
        import gevent, gevent.socket
        from ws4py_middleware.handover import from_socket
        from ws4py_middleware.process import get_manager
        from ws4py_middleware.websocket import EchoWebSocket

        manager = get_manager(gevent=True)
        assert get_manager(gevent=True) is manager
        manager.shutdown_timeout = 0.2
        client, server = gevent.socket.socketpair()
        manager.attach(EchoWebSocket(), from_socket(server))
        gevent.sleep(0.01)
        import atexit, os
        end = os.dup(client.fileno())
        atexit.unregister(manager.shutdown)
        manager.shutdown()
        assert len(manager) == 0
        print(os.read(end, 100)[:4].hex(), flush=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "881903e9", "")


def test_native_lock_is_native_also_when_patched(host: GreenletHost) -> None:
    lock = host.manager.make_lock()
    assert type(lock).__module__ == "_thread"
    assert get_original("_thread", "get_ident")() == host.manager._thread


def test_disowned_connections_end_without_a_word(host: GreenletHost) -> None:
    """What a forked child does with its parent's; here there is no parent, so that the kernel ends them."""
    recorder = Recorder()
    peer = host.connect(recorder)
    host.wait_until(lambda: recorder.seen)
    host.manager._disown()
    assert (len(host.manager), recorder.is_open) == (0, False)
    peer.read_end()
    host.sleep(0)
    assert recorder.seen == [("opened",)]
    second = EchoRecorder()
    other = host.connect(second)
    other.send("x")
    assert other.read() == "x"
    other.finish()
