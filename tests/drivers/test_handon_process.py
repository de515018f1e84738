"""Handlers that block, and the end of the process, or another one."""

from __future__ import annotations

import signal
import socket
import subprocess
import time

from tests.drivers.peer import Peer
from tests.drivers.test_manager_process import check, echo, run_python, serve

BLOCKING = """
    import threading, time
    from ws4py_middleware.websocket import WebSocket

    class Blocking(EchoWebSocket):
        def received_message(self, message):
            if str(message) == "block":
                self.send("blocking")
                time.sleep(60)
            elif str(message) == "doze":
                time.sleep(0.05)
            elif str(message) == "fork":
                time.sleep(0.05)
                child = os.fork()
                if not child:
                    assert len(manager) == 0 and get_manager() is not manager
                    ours, other = socket.socketpair()
                    get_manager().attach(EchoWebSocket(), from_socket(other))
                    ours.sendall(bytes.fromhex("8182000000006869"))
                    ours.settimeout(10)
                    answer = ours.recv(4)
                    ours.close()
                    os._exit(0 if answer == b"\\x81\\x02hi" else 1)
                self.send(str(os.waitpid(child, 0)[1]))
                return
            super().received_message(message)

    for websocket in websockets:
        websocket.__class__ = Blocking
"""

WAITING = "    print('ready', flush=True); sys.stdin.readline()\n"


def say(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


def block(peer: Peer) -> None:
    peer.send("block")
    assert peer.read() == "blocking"


def test_exit_of_the_interpreter_does_not_wait_for_a_hook_that_blocks() -> None:
    script = BLOCKING + "    manager.shutdown_timeout = 0.3\n" + WAITING
    process, (first, second, third) = serve(script, 3)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    block(first)
    block(second)
    echo(third)
    began = time.monotonic()
    say(process, "exit")
    assert third.answer() == (1001, "Server is shutting down")
    assert first.read_close()[0] == second.read_close()[0] == 1001
    check(process)
    assert time.monotonic() - began < 5
    for peer in (first, second):
        peer.sock.close()


def test_interrupt_of_the_interpreter_while_a_hook_blocks_ends_it() -> None:
    process, (peer, other) = serve(BLOCKING + "    manager.shutdown_timeout = 0.3\n    time.sleep(60)\n", 2)
    echo(other)
    echo(peer, "doze")
    block(peer)
    process.send_signal(signal.SIGINT)
    assert other.answer()[0] == 1001
    _, errors = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert errors.rstrip().endswith("KeyboardInterrupt")
    peer.sock.close()


def test_fork_in_a_hook_that_has_blocked_leaves_both_processes_with_a_manager() -> None:
    script = BLOCKING + WAITING
    process, (peer, other) = serve(script, 2)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    echo(other)
    for _ in range(3):
        peer.send("fork")
        assert peer.read() == "0"
        echo(other)
    say(process, "exit")
    assert peer.answer()[0] == other.answer()[0] == 1001
    check(process)


RUN = """
    import os, signal, socket, sys, time
    from ws4py_middleware.handover import from_socket
    from ws4py_middleware.manager import WebSocketManager
    from ws4py_middleware.websocket import EchoWebSocket

    class Dozing(EchoWebSocket):
        def received_message(self, message):
            time.sleep(float(str(message)))
            super().received_message(message)

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    manager = WebSocketManager()
    for _ in range(2):
        manager.attach(Dozing(), from_socket(listener.accept()[0]))
    listener.close()
    try:
        manager.run()
    except KeyboardInterrupt:
        print("interrupted", manager.is_alive(), len(manager), flush=True)
"""


def test_interrupt_in_the_midst_of_a_hook_ends_run() -> None:
    process = run_python(RUN.replace("time.sleep(float(str(message)))", "signal.raise_signal(signal.SIGINT)"))
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with (
        Peer(socket.create_connection(("127.0.0.1", port))) as first,
        Peer(socket.create_connection(("127.0.0.1", port))) as second,
    ):
        first.send("now")
        first.read_end()
        second.read_end()
    check(process, "interrupted", "False", "0")


def test_interrupt_of_run_ends_it_also_when_another_thread_leads() -> None:
    process = run_python(RUN)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with (
        Peer(socket.create_connection(("127.0.0.1", port))) as first,
        Peer(socket.create_connection(("127.0.0.1", port))) as second,
    ):
        # The main thread leads, and is busy; and when it comes back, the other one leads.
        echo(first, "0.05")
        echo(second, "0.0")
        process.send_signal(signal.SIGINT)
        # It may come in the midst of sending an echo, which then goes out again.
        for peer in (first, second):
            while peer.sock.recv(100):
                pass
    check(process, "interrupted", "False", "0")
