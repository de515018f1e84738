"""A client in its caller's hands: run, once, receive, several threads, hooks that send, and every timer."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.core.wire import CLOSE, PING, PONG, TEXT, build_close, build_frame
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.messaging import Message


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    with no_leaks():
        yield


def echo(visit: Visit) -> None:
    visit.accept()
    visit.echo()


class Recorder(WebSocketBaseClient):
    """Note what the hooks are told, and that no two overlap."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[tuple[Any, ...]] = []

    def opened(self) -> None:
        self.seen.append(("opened",))

    def received_message(self, message: Message) -> None:
        self.seen.append((str(message),))

    def closed(self, code: int, reason: str | None = None) -> None:
        self.seen.append(("closed", code, reason))


# --- what comes with the 101 ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 100, 1000])
def test_frames_that_come_with_the_101_are_all_delivered(count: int) -> None:
    messages = [f"message {number}" for number in range(count)]

    def script(visit: Visit) -> None:
        visit.accept(b"".join(map(text, messages)) + build_close(1001, b"bye"))
        assert visit.read_frame()[0] == CLOSE

    with scripted(script) as server:
        with WebSocketBaseClient(server.url) as client:
            assert [str(message) for message in client] == messages
        recorder = Recorder(server.url)
        recorder.connect()
        recorder.run()
        assert recorder.seen == [("opened",), *[(message,) for message in messages], ("closed", 1001, "bye")]


def test_a_message_that_is_larger_than_the_limit_is_refused() -> None:
    with scripted(echo) as server:
        client = Recorder(server.url, max_message_size=100)
        client.connect()
        client.send("x" * 101)
        client.run()
        assert client.seen[-1][:2] == ("closed", 1009)


# --- run and once --------------------------------------------------------------------------------------


def test_hooks_of_ws4pys_example() -> None:
    class Client(Recorder):
        def opened(self) -> None:
            super().opened()
            self.send("#" * number for number in (1, 26, 51))
            for number in range(0, 200, 25):
                self.send("*" * number)

        def received_message(self, message: Message) -> None:
            self.seen.append((len(message),))
            if len(message) == 175:
                self.close(reason="Bye bye")

    def script(visit: Visit) -> None:
        visit.accept()
        joined = b""
        while True:
            opcode, payload = visit.read_frame()
            joined += payload if opcode in (0, TEXT) and payload.startswith(b"#") else b""
            if opcode == CLOSE:
                visit.send(build_frame(CLOSE, payload))
                return
            if not payload.startswith(b"#"):
                visit.send(build_frame(TEXT, payload))

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        client.run()
    assert client.seen == [
        ("opened",),
        *[(number,) for number in range(0, 200, 25)],
        ("closed", 1000, "Bye bye"),
    ]


def test_once_does_one_thing_at_a_time() -> None:
    with scripted(echo) as server:
        client = Recorder(server.url)
        client.connect()
        client.send("a")
        while len(client.seen) < 2:
            assert client.once()
        client.close()
        while client.once():
            pass
        assert not client.once()
        assert client.seen == [("opened",), ("a",), ("closed", 1000, "")]


def test_closed_may_connect_again_and_run_goes_on() -> None:
    class Client(Recorder):
        def closed(self, code: int, reason: str | None = None) -> None:
            super().closed(code, reason)
            if len(self.seen) < 8:
                self.connect()

    def script(visit: Visit) -> None:
        visit.accept(text("hello"))
        visit.send(build_close(1012))
        assert visit.read_frame()[0] == CLOSE

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        client.run()
        assert client.seen == [("opened",), ("hello",), ("closed", 1012, "")] * 3


def test_an_error_in_a_hook_ends_the_connection_and_a_sysexit_goes_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Client(Recorder):
        def received_message(self, message: Message) -> None:
            if str(message) == "exit":
                raise SystemExit(3)
            raise ZeroDivisionError("the handler's own")

    said: list[bytes] = []

    def script(visit: Visit) -> None:
        visit.accept()
        _, payload = visit.read_frame()
        visit.send(build_frame(TEXT, payload))
        said.append(visit.answer_close()[:2])

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        client.send("x")
        client.run()
        assert client.seen[-1] == ("closed", 1011, "internal error")
        client.connect()
        client.send("exit")
        with pytest.raises(SystemExit):
            client.run()
        client.run()
    assert said == [(1011).to_bytes(2, "big")] * 2
    assert "the handler's own" in caplog.text


def test_handshake_ok_that_raises_leaves_no_connection() -> None:
    class Client(WebSocketBaseClient):
        def handshake_ok(self) -> None:
            raise ZeroDivisionError

    with scripted(echo) as server:
        client = Client(server.url)
        with pytest.raises(ZeroDivisionError):
            client.connect()
        assert not client.is_open


def test_receive_in_a_hook_is_refused_and_send_in_a_hook_waits_for_room() -> None:
    errors: list[BaseException] = []

    class Client(Recorder):
        def opened(self) -> None:
            try:
                self.receive()
            except RuntimeError as error:
                errors.append(error)
            for _ in range(30):
                self.send(b"x" * 200_000, binary=True)

    total = 0

    def script(visit: Visit) -> None:
        nonlocal total
        visit.accept()
        time.sleep(0.2)  # until the client's buffers are full
        while True:
            opcode, payload = visit.read_frame()
            if opcode == CLOSE:
                visit.send(build_frame(CLOSE, payload))
                return
            total += len(payload)

    with scripted(script) as server, Client(server.url):
        pass
    assert total == 6_000_000
    assert "receive() waits" in str(errors[0])


# --- receive and threads ---------------------------------------------------------------------------------


def test_receive_waits_as_long_as_it_is_told() -> None:
    with scripted(echo) as server, WebSocketBaseClient(server.url) as client:
        for timeout in (0, 0.05):
            with pytest.raises(TimeoutError, match="no message within"):
                client.receive(timeout)
        client.send("x")
        assert str(client.receive(5)) == "x"


def test_one_thread_receives_and_others_send() -> None:
    counts: dict[str, int] = {}

    def send(name: str) -> None:
        for _ in range(200):
            client.send(name * 1000)

    with scripted(echo) as server, WebSocketBaseClient(server.url) as client:
        threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for _ in range(800):
            message = str(client.receive(10))
            assert message == message[0] * 1000
            counts[message[0]] = counts.get(message[0], 0) + 1
        for thread in threads:
            thread.join(10)
    assert counts == dict.fromkeys("abcd", 200)


def test_several_threads_receive_each_its_own_messages() -> None:
    got: list[str] = []

    def receive() -> None:
        while (message := client.receive(10)) is not None:
            got.append(str(message))

    with scripted(echo) as server:
        client = WebSocketBaseClient(server.url)
        client.connect()
        threads = [threading.Thread(target=receive) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(300):
            client.send(str(number))
        while len(got) < 300:
            time.sleep(0.001)
        client.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert sorted(got, key=int) == [str(number) for number in range(300)]


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


@pytest.mark.parametrize("end", ["close", "terminate", "close_connection"])
def test_another_thread_ends_a_run(end: str) -> None:
    with scripted(echo) as server:
        client = Recorder(server.url)
        client.connect()
        thread = in_thread(client.run)
        client.send("x")
        while len(client.seen) < 2:
            time.sleep(0.001)
        getattr(client, end)()
        thread.join(5)
        assert not thread.is_alive()
        assert [event[0] for event in client.seen] == ["opened", "x", "closed"]
        assert client.sock.fileno() == -1


def test_ctrl_c_ends_a_run_and_the_connection_can_still_be_closed() -> None:
    with scripted(echo) as server:
        client = Recorder(server.url)
        client.connect()
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            client.run()
        timer.join()
        client.close()
        client.run()
        assert client.seen == [("opened",), ("closed", 1000, "")]


def test_a_reset_behind_messages_that_wait_is_seen_when_they_were_taken() -> None:
    def script(visit: Visit) -> None:
        visit.accept(b"".join(text(str(number)) for number in range(100)))
        waiting.wait(10)
        visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    waiting = threading.Event()
    with scripted(script) as server:
        client = WebSocketBaseClient(server.url)
        client.connect()
        thread = in_thread(client.run)
        while not (client._link and client._link.paused):
            time.sleep(0.001)
        waiting.set()
    time.sleep(0.05)  # the reset comes while the inbox is full, and is no reason to spin
    assert thread.is_alive()
    assert [str(message) for message in client] == [str(number) for number in range(100)]
    thread.join(5)
    assert not thread.is_alive()


# --- timers --------------------------------------------------------------------------------------------


def test_pings_go_out_and_their_answers_are_measured() -> None:
    pings: list[bytes] = []

    def script(visit: Visit) -> None:
        visit.accept()
        while True:
            opcode, payload = visit.read_frame()
            if opcode == PING:
                pings.append(payload)
                visit.send(build_frame(PONG, payload))
                if len(pings) == 3:
                    visit.send(build_close(1000))

    with scripted(script) as server:
        client = WebSocketBaseClient(server.url, heartbeat_freq=0.02)
        client.connect()
        client.run()
        assert client.latency is not None
        assert 0 < client.latency < 1
    assert len(pings) >= 3


def test_a_server_that_answers_no_ping_is_left() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.wait_end()

    with scripted(script) as server:
        client = Recorder(server.url, ping_interval=0.05, ping_timeout=0.1, close_timeout=0.1)
        client.connect()
        began = time.monotonic()
        client.run()
        assert time.monotonic() - began < 3
        assert client.seen[-1] == ("closed", 1011, "no pong within 0.1 s")


def pong_only(visit: Visit) -> None:
    visit.accept()
    while True:
        opcode, payload = visit.read_frame()
        if opcode == PING:
            visit.send(build_frame(PONG, payload))
        elif opcode == CLOSE:
            visit.send(build_frame(CLOSE, payload))
            return


def test_a_pong_that_nobody_has_read_in_time_is_not_the_servers_fault() -> None:
    with scripted(pong_only) as server:
        client = WebSocketBaseClient(server.url, ping_interval=0.05, ping_timeout=0.1)
        client.connect()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                client.receive(0.07)
            time.sleep(0.3)  # far beyond ping_timeout, with a ping on its way
        client.close()
        client.run()


def talk(client: WebSocketBaseClient) -> None:
    for _ in range(1000):
        client.send("x")
        time.sleep(0.001)


def test_idle_timeout_and_a_connection_that_was_lost_while_nobody_looked() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.answer_close()

    with scripted(script) as server:
        client = Recorder(server.url, idle_timeout=0.1)
        client.connect()
        client.run()
        assert client.seen[-1] == ("closed", 1000, "no message within 0.1 s")
    with scripted(Visit.accept) as server:
        client = Recorder(server.url)
        client.connect()
    with pytest.raises(ConnectionClosed):
        talk(client)
    assert client.seen[-1][:2] == ("closed", 1006)
