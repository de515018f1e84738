"""What the manager of threads costs, and what it is to the process."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from tests.drivers.peer import EchoRecorder, Peer, Recorder, connect, tcp_pair, wait_until
from tests.drivers.threads import ThreadHost, host, threads
from ws4py_middleware.handover import from_socket
from ws4py_middleware.manager import (
    WebSocketManager,
)
from ws4py_middleware.process import get_manager
from ws4py_middleware.websocket import EchoWebSocket

__all__ = ["host", "threads"]


def echo(peer: Peer, text: str = "hello") -> None:
    peer.send(text)
    assert peer.read() == text


@pytest.mark.parametrize(("before", "after"), [(0.005, 0.0005), (0.02, 0.02), (0.0001, 0.0001)])
def test_threads_share_the_interpreter_unless_somebody_has_said_how(before: float, after: float) -> None:
    kept = sys.getswitchinterval()
    sys.setswitchinterval(before)
    manager = WebSocketManager()
    try:
        manager.start()
        assert sys.getswitchinterval() == pytest.approx(after)
    finally:
        manager.stop()
        manager.join(5)
        sys.setswitchinterval(kept)


@pytest.mark.parametrize("when", ["before it is written", "when it was written"])
def test_interrupted_wake_is_not_the_last(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Ctrl-C, while the main thread adds a connection: the signal's exception may be raised anywhere."""
    manager = WebSocketManager()
    manager.start()
    write, interrupts = os.write, [KeyboardInterrupt]

    def interrupted_write(fd: int, data: bytes) -> int:
        if interrupts and data == b"\0" and when == "before it is written":
            raise interrupts.pop()
        count = write(fd, data)
        if interrupts and data == b"\0":
            raise interrupts.pop()
        return count

    pair = tcp_pair()
    with pair[0], pair[1], monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted_write)
        with pytest.raises(KeyboardInterrupt):
            connect(manager, EchoWebSocket(), pair=lambda: pair)
    ended = threading.Thread(target=manager.stop, daemon=True)
    ended.start()
    ended.join(5)
    assert not manager.is_alive()


# --- what it costs ----------------------------------------------------------------------------------


def test_idle_connections_cost_no_cpu(host: ThreadHost) -> None:
    ends = [host.connect(EchoWebSocket()) for _ in range(50)]
    for peer in ends:
        echo(peer)
    began = time.process_time()
    host.sleep(1.0)
    assert time.process_time() - began < 0.02
    for peer in ends:
        echo(peer)


def test_more_than_1024_descriptors_are_served(host: ThreadHost) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        websocket = EchoRecorder()
        peer = host.connect(websocket)
        assert min(host.manager.websockets) > 1023
        echo(peer)
        peer.finish()
        websocket.wait_closed()
    finally:
        for fd in held:
            os.close(fd)


@pytest.mark.cpython
def test_thousand_connections_leave_no_descriptor_no_thread_and_no_memory(threads: ThreadHost) -> None:
    import gc
    import tracemalloc

    def churn(count: int) -> None:
        for start in range(0, count, 50):
            recorders = [EchoWebSocket() for _ in range(50)]
            ends = [connect(threads.manager, recorder) for recorder in recorders]
            del recorders
            for number, peer in enumerate(ends):
                peer.send("x" * (start + 1))
                peer.read()
                if number % 3 == 0:
                    peer.finish()
                elif number % 3 == 1:
                    peer.sock.close()
                else:
                    peer.reset()
            wait_until(lambda: not len(threads.manager))

    churn(200)
    gc.collect()
    gc.disable()
    fds, running = len(os.listdir("/proc/self/fd")), threading.active_count()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        churn(1000)
        # The last of them is still in the hands of the thread for a moment.
        wait_until(lambda: tracemalloc.get_traced_memory()[0] - before <= 64_000, 2)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert len(os.listdir("/proc/self/fd")) == fds
    assert threading.active_count() == running


def test_storm_of_resets_is_over_in_two_seconds(threads: ThreadHost) -> None:
    ends = [connect(threads.manager, Recorder()) for _ in range(500)]
    good = threads.connect(EchoRecorder())
    echo(good)
    began = time.monotonic()
    for peer in ends:
        peer.reset()
    times = []
    while len(threads.manager) > 1:
        before = time.monotonic()
        echo(good)
        times.append(time.monotonic() - before)
        assert before - began < 2
    assert max(times, default=0) < 0.25
    good.finish()


def test_sinks_are_swallowed_and_closed(host: ThreadHost) -> None:
    peers = []
    sinks = []
    for end in ("close", "reset", "stay"):
        client, server = tcp_pair()
        ours, dummy = tcp_pair() if end == "reset" else socket.socketpair()
        ours.setblocking(False)
        host.manager.attach(EchoWebSocket(), from_socket(server), sink=ours)
        dummy.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n" * 1000)
        peers.append(Peer(client))
        sinks.append(ours)
        if end == "reset":
            Peer(dummy).reset()
        elif end == "close":
            dummy.close()
        else:
            peers.append(Peer(dummy))
    wait_until(lambda: [sink.fileno() for sink in sinks[:2]] == [-1, -1])
    for peer in peers[:3]:
        echo(peer)
    host.manager.stop()
    assert sinks[2].fileno() == -1
    for peer in peers:
        peer.sock.close()


# --- processes --------------------------------------------------------------------------------------


def run_python(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def check(process: subprocess.Popen[str], *expected: str) -> None:
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out.split(), err) == (0, list(expected), "")


SERVER = """
    import os, signal, socket, sys
    from ws4py_middleware.handover import from_socket
    from ws4py_middleware.process import get_manager
    from ws4py_middleware.websocket import EchoWebSocket

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    manager = get_manager()
    assert get_manager() is manager
    websockets = []
    for _ in range(int(sys.argv[1])):
        websockets.append(EchoWebSocket())
        manager.attach(websockets[-1], from_socket(listener.accept()[0]))
    listener.close()
"""


def serve(script: str, count: int) -> tuple[subprocess.Popen[str], list[Peer]]:
    process = run_python(SERVER + script, str(count))
    assert process.stdout is not None
    port = int(process.stdout.readline())
    return process, [Peer(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]


def test_exit_of_the_interpreter_closes_all_with_1001() -> None:
    process, ends = serve("    sys.stdin.readline()\n", 50)
    for peer in ends:
        echo(peer)
    began = time.monotonic()
    assert process.stdin is not None
    process.stdin.write("exit\n")
    process.stdin.flush()
    for peer in ends:
        assert peer.answer() == (1001, "Server is shutting down")
    check(process)
    assert time.monotonic() - began < 2


def test_exit_does_not_wait_for_the_deaf_for_ever() -> None:
    process, (peer,) = serve("    manager.shutdown_timeout = 0.2\n", 1)
    with peer:
        assert peer.read_close()[0] == 1001
        peer.read_end()
        check(process)


def test_forked_child_has_a_manager_of_its_own_and_is_silent_on_the_parents() -> None:
    script = """
    own = __import__("ws4py_middleware.manager").manager.WebSocketManager()
    own.start()
    sys.stdin.readline()
    child = os.fork()
    if not child:
        assert get_manager() is not manager
        assert len(get_manager()) == len(manager) == 0
        assert not websockets[0].is_open
        try:
            websockets[0].send("from the child")
        except RuntimeError as error:
            assert "closed" in str(error)
        websockets[0].close()
        websockets[0].terminate()
        manager.broadcast("from the child")
        assert not own.is_alive()
        own.start()
        for theirs in (own, get_manager()):
            ours, other = socket.socketpair()
            theirs.attach(EchoWebSocket(), from_socket(other))
            ours.sendall(bytes.fromhex("8182000000006869"))
            ours.settimeout(10)
            assert ours.recv(4) == b"\\x81\\x02hi"
            ours.close()
        own.stop()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("child", flush=True)
    own.stop()
    sys.stdin.readline()
    """
    process, (peer,) = serve(script, 1)
    assert process.stdin is not None
    assert process.stdout is not None
    with peer:
        echo(peer, "before")
        process.stdin.write("fork\n")
        process.stdin.flush()
        assert process.stdout.readline() == "child\n", process.communicate()
        echo(peer, "after")
        process.stdin.write("exit\n")
        process.stdin.flush()
        assert peer.answer()[0] == 1001
        check(process)


def test_manager_of_the_process_does_not_keep_it_alive() -> None:
    process, (peer,) = serve("    os.kill(os.getpid(), signal.SIGINT)\n", 1)
    with peer:
        assert peer.answer()[0] == 1001
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_get_manager_is_one_for_the_process() -> None:
    manager = get_manager()
    assert isinstance(manager, WebSocketManager)
    assert get_manager() is manager
    assert manager.daemon
    assert manager.is_alive()
    manager.stop()
    # It was stopped by somebody; who asks for it wants one that runs.
    assert get_manager() is manager
    assert manager.is_alive()
    manager.stop()
