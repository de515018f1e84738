"""The client in a thread of its own: which thread does what, how it begins, ends, and begins again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.wire import CLOSE, PING, PONG, TEXT, build_close, build_frame
from tests.drivers.peer import wait_until
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from tests.servers import client_context, start
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.exc import ConnectionClosed, HandshakeError
from ws4py_middleware.hub import Hub
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    before = set(threading.enumerate())
    with no_leaks():
        yield
        wait_until(lambda: set(threading.enumerate()) <= before)


def echo(visit: Visit) -> None:
    visit.accept()
    visit.echo()


class Recorder(WebSocketClient):
    """Note what the hooks are told, and in which threads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[tuple[Any, ...]] = []
        self.threads: set[threading.Thread] = set()

    def note(self, *event: Any) -> None:
        self.seen.append(event)
        self.threads.add(threading.current_thread())

    def opened(self) -> None:
        self.note("opened")

    def received_message(self, message: Message) -> None:
        self.note(str(message))

    def closed(self, code: int, reason: str | None = None) -> None:
        self.note("closed", code, reason)


# --- which thread does what -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_hooks_are_called_in_the_one_thread_and_what_came_with_the_101_is_all_delivered(count: int) -> None:
    messages = [f"message {number}" for number in range(count)]

    def script(visit: Visit) -> None:
        visit.accept(b"".join(map(text, messages)) + build_close(1001, b"bye"))
        assert visit.read_frame()[0] == CLOSE

    with scripted(script) as server:
        client = Recorder(server.url)
        client.connect()
        client.run_forever()
        assert client.seen == [("opened",), *[(message,) for message in messages], ("closed", 1001, "bye")]
        assert client.threads == {client._th}
        assert not client._th.is_alive()
        # Who asks for messages may take his time; none is lost.
        with WebSocketClient(server.url) as plain:
            time.sleep(0.05)
            assert [str(message) for message in plain] == messages


def test_a_client_has_one_thread_and_pings_are_answered_while_nobody_waits() -> None:
    answered = threading.Event()

    def script(visit: Visit) -> None:
        visit.accept()
        visit.send(build_frame(PING, b"there?"))
        assert visit.read_frame() == (PONG, b"there?")
        answered.set()
        visit.answer_close()

    with scripted(script) as server:
        before = threading.active_count()
        client = WebSocketClient(server.url)
        assert threading.active_count() == before
        client.connect()
        assert threading.active_count() == before + 1
        assert answered.wait(10)
        client.close()
        client.run()
        assert threading.active_count() == before


def test_send_in_a_hook_waits_for_room_and_receive_in_a_hook_is_refused() -> None:
    errors: list[BaseException] = []
    total = 0

    class Client(Recorder):
        def opened(self) -> None:
            super().opened()
            for wait in (self.receive, self.run):
                try:
                    wait()
                except RuntimeError as error:
                    errors.append(error)
            for _ in range(30):
                self.send(b"x" * 200_000, binary=True)

    def script(visit: Visit) -> None:
        nonlocal total
        visit.accept()
        visit.send(text("before it reads"))
        time.sleep(0.1)  # until the client's buffers are full
        while True:
            opcode, payload = visit.read_frame()
            if opcode == CLOSE:
                visit.send(build_frame(CLOSE, payload))
                return
            total += len(payload)
            if total == 6_000_000:
                visit.send(text("all"))

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        wait_until(lambda: ("all",) in client.seen)
        client.close()
        client.run()
    assert client.seen == [("opened",), ("before it reads",), ("all",), ("closed", 1000, "")]
    assert len(errors) == 2


def test_several_threads_send_and_others_receive() -> None:
    got: list[str] = []

    def send(name: str) -> None:
        for _ in range(100):
            client.send(name * 3000)

    def receive() -> None:
        got.extend(str(message) for message in client)

    with scripted(echo) as server:
        client = WebSocketClient(server.url)
        client.connect()
        senders = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
        receivers = [threading.Thread(target=receive) for _ in range(3)]
        for thread in senders + receivers:
            thread.start()
        wait_until(lambda: len(got) == 400)
        client.close()
        for thread in senders + receivers:
            thread.join(10)
            assert not thread.is_alive()
        client.run()
    assert sorted(got) == [name * 3000 for name in "abcd" for _ in range(100)]


def test_receive_waits_as_long_as_it_is_told_and_returns_none_at_the_end() -> None:
    with scripted(echo) as server, WebSocketClient(server.url) as client:
        with pytest.raises(TimeoutError, match="no message within"):
            client.receive(0.01)
        client.send("x")
        assert str(client.receive(5)) == "x"
        client.close()
        assert client.receive(5) is None
        assert client.receive() is None


def test_what_nobody_asks_for_is_bounded_and_keeps_nobody_from_closing() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        with contextlib.suppress(TimeoutError):
            visit.sock.settimeout(0.3)
            while True:
                visit.send(text("x" * 50_000))
        visit.sock.settimeout(10)
        visit.wait_end()

    with scripted(script) as server:
        client = WebSocketClient(server.url, receive_queue_size=200_000, close_timeout=0.2)
        client.connect()
        wait_until(lambda: client._link is not None and client._link.paused)
        assert client._link is not None
        assert client._link._inbox is not None
        assert len(client._link._inbox) <= 5
        client.close()
        client.run()
        assert client.terminated


def test_once_is_for_those_without_a_thread() -> None:
    with scripted(echo) as server, WebSocketClient(server.url) as client:
        with pytest.raises(RuntimeError, match="in the hands of"):
            client.once()


# --- ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "terminate", "close_connection"])
def test_another_thread_ends_it_and_the_hook_is_called_in_its_own(end: str) -> None:
    with scripted(echo) as server:
        client = Recorder(server.url)
        client.connect()
        client.send("x")
        wait_until(lambda: len(client.seen) == 2)
        getattr(client, end)()
        client.run_forever()
        assert [event[0] for event in client.seen] == ["opened", "x", "closed"]
        assert client.threads == {client._th}
        with pytest.raises(ConnectionClosed):
            client.send("y")


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_an_error_in_a_hook_ends_the_connection_in_order(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    class Client(Recorder):
        def received_message(self, message: Message) -> None:
            raise error("the hook's own")

    def script(visit: Visit) -> None:
        visit.accept(text("x"))
        assert visit.answer_close()[:2] == (1011).to_bytes(2, "big")

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        client.run()
    assert client.seen == [("opened",), ("closed", 1011, "internal error")]
    assert "the hook's own" in caplog.text


def test_a_fault_that_is_no_hooks_leaves_nobody_waiting_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenHub(Hub):
        def leave_all(self, member: Any) -> None:
            raise ZeroDivisionError("the hub's own")

    with scripted(echo) as server:
        client = Recorder(server.url)
        client.hub = BrokenHub()
        client.connect()
        client.close()
        client.run_forever()
        assert not client._th.is_alive()
    assert "the hub's own" in caplog.text


def test_ctrl_c_interrupts_run_forever_and_the_connection_can_be_closed() -> None:
    with scripted(echo) as server:
        client = Recorder(server.url)
        client.connect()
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            client.run_forever()
        timer.join()
        client.close()
        client.run_forever()
        assert client.seen == [("opened",), ("closed", 1000, "")]


def test_a_server_that_answers_no_ping_is_left_and_one_that_is_gone_is_noticed() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        if len(server.visits) == 1:
            visit.wait_end()

    with scripted(script) as server:
        client = Recorder(server.url, ping_interval=0.05, ping_timeout=0.1, close_timeout=0.1)
        client.connect()
        client.run()
        assert client.seen[-1] == ("closed", 1011, "no pong within 0.1 s")
        client.connect()
        client.run()
        assert client.seen[-1][:2] == ("closed", 1006)


def test_without_a_connection_there_is_nothing_to_wait_for_and_a_refusal_starts_no_thread() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    with scripted(script) as server:
        client = Recorder(server.url)
        with pytest.raises(ConnectionClosed):
            client.run_forever()
        client.close()
        with pytest.raises(HandshakeError, match="403 No"):
            client.connect()
        assert client.seen == []
        assert client._th.ident is None


# --- beginning again -----------------------------------------------------------------------------------


def test_connect_again_is_a_new_thread() -> None:
    with scripted(echo) as server:
        client = Recorder(server.url)
        for _ in range(3):
            client.connect()
            with pytest.raises(RuntimeError, match="connected already"):
                client.connect()
            client.close()  # its end is waited for by the next connect()
        client.run()
        assert client.seen == [("opened",), ("closed", 1000, "")] * 3
        assert len(client.threads) == 3


def test_closed_may_connect_again_and_the_thread_goes_on() -> None:
    class Client(Recorder):
        def closed(self, code: int, reason: str | None = None) -> None:
            super().closed(code, reason)
            if len(self.seen) < 10:
                self.connect()
                self.send("at once")

    def script(visit: Visit) -> None:
        visit.accept(text("hello"))
        if len(server.visits) > 1:
            assert visit.read_frame() == (TEXT, b"at once")
        visit.send(build_close(1012))
        assert visit.read_frame()[0] == CLOSE

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        client.run_forever()
        assert [event[0] for event in client.seen] == ["opened", "hello", "closed"] * 4
        assert client.threads == {client._th}


def test_connect_waits_until_the_last_connections_closed_has_returned() -> None:
    class Client(Recorder):
        def closed(self, code: int, reason: str | None = None) -> None:
            in_closed.set()
            time.sleep(0.1)
            super().closed(code, reason)

    in_closed = threading.Event()
    with scripted(echo) as server:
        client = Client(server.url)
        client.connect()
        client.close()
        assert in_closed.wait(10)
        client.connect()
        client.close()
        client.run()
        assert [event[0] for event in client.seen] == ["opened", "closed"] * 2


def test_daemon_is_for_the_connections_to_come() -> None:
    with scripted(echo) as server:
        client = WebSocketClient(server.url)
        assert client.daemon is True
        client.daemon = False
        with client:
            assert [(thread.is_alive(), thread.daemon) for thread in (client._th,)] == [(True, False)]
            with pytest.raises(RuntimeError, match="before connect"):
                client.daemon = True
        client.daemon = True
        client.connect()
        assert client._th.daemon
        client.close()
        client.run()


def test_a_manager_may_have_it_and_it_has_no_thread_then() -> None:
    class Client(Recorder):
        def handshake_ok(self) -> None:
            manager.add(self)

    manager = WebSocketManager()
    manager.start()
    with scripted(echo) as server:
        client = Client(server.url)
        with client:
            client.send("x")
            wait_until(lambda: ("x",) in client.seen)
        client.run_forever()
        assert client._th.ident is None
        assert client.seen[-1] == ("closed", 1000, "")
    manager.stop()
    manager.join()


def test_the_certificate_is_verified_and_tls_echoes() -> None:
    with start("werkzeug", "examples.echo.app:app", tls=True) as server:
        with WebSocketClient(f"{server.ws_url}/echo", ssl_options=client_context()) as client:
            client.send("x" * 100_000)
            assert str(client.receive(10)) == "x" * 100_000
        with pytest.raises(OSError, match="certificate verify failed"):
            WebSocketClient(f"{server.ws_url}/echo").connect()


# --- the interpreter's exit --------------------------------------------------------------------------------

_SCRIPT = """
import sys, time
from ws4py_middleware.client.threadedclient import WebSocketClient

def say(text):
    sys.stdout.write(f"{{text}}\\n")  # in one piece, unlike print()
    sys.stdout.flush()

class Client(WebSocketClient):
    def opened(self):
        say("opened")
    def received_message(self, message):
        say(message)
        {hook}
    def closed(self, code, reason=None):
        say(f"closed {{code}}")
        {closed}

client = Client(sys.argv[1])
client.daemon = {daemon}
client.connect()
client.send("x")
{wait}
say("end")
"""


def run_script(url: str, **parts: Any) -> tuple[list[str], float]:
    """Run the script; return what it has printed, and how long it took."""
    script = _SCRIPT.format(**{"hook": "pass", "closed": "pass", "wait": "", "daemon": True, **parts})
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, url], capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines(), time.monotonic() - began


def test_the_exit_is_quiet_while_a_daemon_is_connected_and_the_server_is_told() -> None:
    said: list[bytes] = []

    def script(visit: Visit) -> None:
        visit.accept()
        said.append(visit.answer_close()[:2])

    with scripted(script) as server:
        for closed in ("pass", "self.connect()", "say('again')"):
            lines, _ = run_script(server.url, closed=closed)
            assert lines[-1] == ("closed 1001" if "say" not in closed else "again")
            assert set(lines) <= {"opened", "end", "closed 1001", "again"}
    assert said == [(1001).to_bytes(2, "big")] * 3


def test_the_exit_does_not_wait_for_a_server_that_is_silent_nor_for_a_hook_that_sleeps() -> None:
    def script(visit: Visit) -> None:
        visit.accept(text("x"))
        visit.wait_end()

    with scripted(script) as server:
        for parts in ({}, {"hook": "time.sleep(60)", "wait": "time.sleep(0.5)"}):
            lines, took = run_script(server.url, **parts)
            assert "end" in lines
            assert took < 10


def test_one_that_is_no_daemon_keeps_the_process_until_the_connection_has_ended() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.read_frame()
        time.sleep(0.3)
        visit.send(text("late") + build_close(1000))
        assert visit.read_frame()[0] == CLOSE

    with scripted(script) as server:
        lines, _ = run_script(server.url, daemon=False)
    assert sorted(lines[:2]) == ["end", "opened"]
    assert lines[2:] == ["late", "closed 1000"]
