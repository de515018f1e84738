"""Threads, forks and the interpreter's end beside greenlets, and what these cost."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import gevent.os
import gevent.socket
import pytest
from gevent.monkey import get_original

from tests.core.wire import BINARY, TEXT
from tests.drivers.greenlets import GreenletHost, host
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build
from ws4py_middleware.handover import from_socket
from ws4py_middleware.link import Link
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["host"]


def link_of(websocket: WebSocket) -> Link:
    link = websocket._link
    assert link is not None
    return link


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


def test_fork_forgets_also_what_is_behind_the_manager_of_a_thread_that_has_ended() -> None:
    script = """if True:
        import logging, os, threading
        import gevent
        from ws4py_middleware.greenlets import GreenletManager

        managers = []

        def visit():
            managers.append(GreenletManager())
            gevent.sleep(0)
            gevent.get_hub().destroy(destroy_loop=True)

        logging.basicConfig()
        for _ in range(2):
            thread = threading.Thread(target=visit)
            thread.start()
            thread.join()
        child = os.fork()
        if not child:
            os._exit(sum(manager._pid != os.getpid() for manager in managers))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "0", "")


def test_native_lock_is_native_also_when_patched(host: GreenletHost) -> None:
    lock = host.manager.make_lock()
    assert type(lock).__module__ in ("_thread", "ws4py_middleware.native")
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
