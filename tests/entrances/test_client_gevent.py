"""The client for gevent, in a process that is not patched; and all of it again in one that is."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.queue
import gevent.socket
import pytest
from gevent.monkey import get_original

from tests.core.wire import CLOSE, PING, PONG, TEXT, build_close, build_frame
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from tests.servers import ROOT, certificates, client_context, start
from ws4py_middleware.client.dialing import Deadline, connect_tcp
from ws4py_middleware.client.geventclient import _WAITS, WebSocketClient
from ws4py_middleware.exc import ConnectionClosed, HandshakeError
from ws4py_middleware.messaging import Message

start_thread: Callable[..., Any] = get_original("_thread", "start_new_thread")


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    gevent.socket.getaddrinfo("localhost", 80)  # the hub, and its resolver, stay
    with no_leaks():
        yield
        gevent.sleep(0.01)  # a patched os.close() leaves what libev has heard of to the hub


def echo(visit: Visit) -> None:
    visit.accept()
    visit.echo()


def wait_until(condition: Callable[[], object]) -> None:
    """Let others run until something is so."""
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.002)


@contextlib.contextmanager
def watch_hub(longest: float) -> Iterator[None]:
    """Check that the hub is never blocked for long."""
    gaps = [0.0]

    def tick() -> None:
        last = time.monotonic()
        while True:
            gevent.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticker = gevent.spawn(tick)
    try:
        yield
    finally:
        ticker.kill()
    assert max(gaps) < longest


class Recorder(WebSocketClient):
    """Note what the hooks are told, and in which greenlets."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[tuple[Any, ...]] = []
        self.greenlets: set[Any] = set()

    def note(self, *event: Any) -> None:
        self.seen.append(event)
        self.greenlets.add(gevent.getcurrent())

    def opened(self) -> None:
        self.note("opened")

    def received_message(self, message: Message) -> None:
        self.note(str(message))

    def closed(self, code: int, reason: str | None = None) -> None:
        self.note("closed", code, reason)


# --- messages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 1000])
def test_hooks_are_called_in_one_greenlet_and_what_came_with_the_101_is_all_delivered(
    count: int,
) -> None:
    messages = [f"message {number}" for number in range(count)]

    def script(visit: Visit) -> None:
        visit.accept(b"".join(map(text, messages)) + build_close(1001, b"bye"))
        assert visit.read_frame()[0] == CLOSE

    with scripted(script) as server:
        client = Recorder(server.url)
        client.connect()
        client.run()
        assert client.seen == [
            ("opened",),
            *[(message,) for message in messages],
            ("closed", 1001, "bye"),
        ]
        assert len(client.greenlets) == 1
        assert gevent.getcurrent() not in client.greenlets
        # Who asks for messages may take his time; none is lost.
        with WebSocketClient(server.url) as plain:
            gevent.sleep(0.05)
            assert [str(message) for message in plain] == messages


def test_receive_waits_as_long_as_it_is_told() -> None:
    with scripted(echo) as server:
        client = WebSocketClient(server.url)
        with pytest.raises(ConnectionClosed):
            client.receive()
        with client:
            waits: list[Callable[[], object]] = [
                lambda: client.receive(False),
                lambda: client.receive(block=False),
                client.messages.get_nowait,
                lambda: client.messages.get(timeout=0.01),
            ]
            for wait in waits:
                with pytest.raises(gevent.queue.Empty):
                    wait()
            bounds: list[dict[str, float]] = [
                {"block": 0.01},
                {"timeout": 0.01},
                {"block": True, "timeout": 0.01},
            ]
            for options in bounds:
                with pytest.raises(TimeoutError, match="no message within"):
                    client.receive(**options)
            takes: list[Callable[[], object]] = [
                client.receive,
                lambda: client.receive(True),
                lambda: client.receive(5),
                lambda: client.receive(timeout=None),
                lambda: client.receive(None),
                client.messages.get,
            ]
            for take in takes:
                client.send("x")
                assert str(take()) == "x"
            client.send("y")
            wait_until(lambda: not client.messages.empty())
            assert len(client.messages) == client.messages.qsize() == 1
            client.close()
            assert [str(message) for message in client.messages] == ["y"]
            assert client.receive() is None
            assert client.messages.get_nowait() is None


def test_what_nobody_asks_for_is_bounded_and_keeps_nobody_from_closing() -> None:
    def script(visit: Visit) -> None:
        visit.accept()
        visit.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while True:
                visit.send(text("x" * 50_000))
        visit.sock.settimeout(10)
        visit.wait_end()

    with scripted(script) as server:
        client = WebSocketClient(server.url, receive_queue_size=200_000, close_timeout=0.2)
        client.connect()
        wait_until(lambda: client._link is not None and client._link.paused)
        assert 0 < len(client.messages) <= 5
        client.close()
        client.run()
        assert client.terminated


def test_a_hook_may_wait_and_what_it_sends_waits_for_room() -> None:
    total = 0

    class Client(Recorder):
        def opened(self) -> None:
            super().opened()
            for _ in range(30):
                self.send(b"x" * 200_000, binary=True)
            gevent.sleep(0.01)

    def script(visit: Visit) -> None:
        nonlocal total
        visit.accept(text("before it reads"))
        while True:
            opcode, payload = visit.read_frame()
            if opcode == CLOSE:
                visit.send(build_frame(CLOSE, payload))
                return
            total += len(payload)
            if total == 6_000_000:
                visit.send(text("all"))

    with scripted(script) as server, watch_hub(1.0):
        client = Client(server.url)
        client.connect()
        wait_until(lambda: ("all",) in client.seen)
        client.close()
        client.run()
    assert client.seen == [
        ("opened",),
        ("before it reads",),
        ("all",),
        ("closed", 1000, ""),
    ]


def test_pings_are_answered_while_nobody_waits_and_a_deaf_server_is_left() -> None:
    answered: list[bool] = []

    def script(visit: Visit) -> None:
        visit.accept()
        if len(server.visits) == 1:
            visit.send(build_frame(PING, b"there?"))
            answered.append(visit.read_frame() == (PONG, b"there?"))
        visit.wait_end()

    with scripted(script) as server:
        client = Recorder(server.url, close_timeout=0.1)
        client.connect()
        wait_until(lambda: answered)
        client.close()
        client.run()
        client = Recorder(server.url, ping_interval=0.05, ping_timeout=0.1, close_timeout=0.1)
        client.connect()
        client.run()
        assert client.seen[-1] == ("closed", 1011, "no pong within 0.1 s")
    assert answered == [True]


def test_an_error_in_a_hook_ends_the_connection_in_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Client(Recorder):
        def received_message(self, message: Message) -> None:
            raise ZeroDivisionError("the hook's own")

    def script(visit: Visit) -> None:
        visit.accept(text("x"))
        assert visit.answer_close()[:2] == (1011).to_bytes(2, "big")

    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        client.run()
    assert client.seen == [("opened",), ("closed", 1011, "internal error")]
    assert "the hook's own" in caplog.text


# --- connecting --------------------------------------------------------------------------------------------


def test_dialing_lets_other_greenlets_run(tmp_path: Path) -> None:
    def slow(visit: Visit) -> None:
        visit.read_request()
        visit.send(visit.build_101()[:20])
        time.sleep(0.3)  # in a thread; when patched, in a greenlet
        visit.send(visit.build_101()[20:])
        visit.answer_close()

    path = str(tmp_path / "socket")
    with watch_hub(0.25), scripted(slow) as server, scripted(slow, path=path) as unix:
        for url in (
            server.url,
            server.url.replace("127.0.0.1", "localhost"),
            f"ws+unix://{path}",
        ):
            with WebSocketClient(url):
                pass
        assert unix.visits


def test_each_timeout_says_what_was_not_done_and_lets_others_run(
    tmp_path: Path,
) -> None:
    def silent(visit: Visit) -> None:
        visit.wait_end()

    path = str(tmp_path / "socket")
    with (
        gevent.socket.socket(gevent.socket.AF_UNIX) as listener,
        contextlib.ExitStack() as stack,
    ):
        listener.bind(path)
        listener.listen(0)
        filling = stack.enter_context(gevent.socket.socket(gevent.socket.AF_UNIX))
        filling.connect(path)  # nobody accepts, and there is no room for a second one
        with watch_hub(0.25), scripted(silent) as server:
            for url, what in {
                server.url: "the opening handshake",
                server.url.replace("ws:", "wss:"): "the TLS handshake with 127.0.0.1",
                f"ws+unix://{path}": "the connection to",
            }.items():
                with pytest.raises(TimeoutError, match=f"{what}.* was not done within 0.2 s"):
                    WebSocketClient(url, open_timeout=0.2).connect()


def test_a_look_up_takes_no_longer_than_the_rest_of_the_time() -> None:
    class Net:
        SOCK_STREAM = gevent.socket.SOCK_STREAM

        @staticmethod
        def getaddrinfo(*args: Any) -> list[Any]:
            gevent.sleep(10)
            return []

    with (
        watch_hub(0.25),
        pytest.raises(TimeoutError, match=r"the look-up of slow.example .* 0.1 s"),
    ):
        connect_tcp("slow.example", 80, Deadline(0.1), net=Net, waits=_WAITS)
    with pytest.raises(OSError, match="cannot be looked up"):
        WebSocketClient("ws://no-such-host.invalid/").connect()


def test_the_certificate_is_verified_unless_it_is_switched_off() -> None:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    with start("werkzeug", "examples.echo.app:app", tls=True) as server:
        url = f"{server.ws_url}/echo"
        for options in (client_context(), unverified, {"cert_reqs": ssl.CERT_NONE}):
            with watch_hub(0.25), WebSocketClient(url, ssl_options=options) as client:
                client.send("x" * 300_000)
                assert str(client.receive(10)) == "x" * 300_000
        with pytest.raises(ssl.SSLCertVerificationError):
            WebSocketClient(url).connect()
        wrong = {
            "server_hostname": "other.example",
            "ca_certs": certificates()[2],
        }
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            WebSocketClient(url, ssl_options=wrong).connect()


def test_a_refusal_has_the_servers_answer_and_calls_no_hook() -> None:
    def script(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")

    with scripted(script) as server:
        client = Recorder(server.url)
        with pytest.raises(HandshakeError, match="403 No") as refusal:
            client.connect()
        assert (refusal.value.status, refusal.value.body) == (403, b"no")
        assert client.seen == []


def test_connect_again_from_outside_and_in_closed() -> None:
    class Client(Recorder):
        def closed(self, code: int, reason: str | None = None) -> None:
            gevent.sleep(0.02)
            super().closed(code, reason)
            if len(self.seen) == 2:
                self.connect()
                self.send("at once")

    with scripted(echo) as server:
        client = Client(server.url)
        client.connect()
        with pytest.raises(RuntimeError, match="connected already"):
            client.connect()
        client.close()
        wait_until(lambda: ("at once",) in client.seen)
        client.close()
        client.connect()  # when closed() has returned
        client.close()
        client.run()
        names = [event[0] for event in client.seen]
        assert names == [
            "opened",
            "closed",
            "opened",
            "at once",
            "closed",
            "opened",
            "closed",
        ]


# --- threads, and many --------------------------------------------------------------------------------------


def test_a_hundred_clients_cost_no_thread() -> None:
    with start("werkzeug", "examples.echo.app:app") as server:
        before = len(os.listdir("/proc/self/task"))
        clients = [WebSocketClient(f"{server.ws_url}/echo") for _ in range(100)]
        gevent.joinall([gevent.spawn(client.connect) for client in clients], raise_error=True)
        for number, client in enumerate(clients):
            client.send(str(number))
        assert [str(client.receive(10)) for client in clients] == [str(number) for number in range(100)]
        assert len(os.listdir("/proc/self/task")) == before
        for client in clients:
            client.close()
        for client in clients:
            client.run()


def test_other_threads_may_send_and_receive() -> None:
    got: list[str] = []

    def run() -> None:
        client.send("from a thread")
        got.append(str(client.receive(5)))

    with scripted(echo) as server, WebSocketClient(server.url) as client:
        start_thread(run, ())
        wait_until(lambda: got)
    assert got == ["from a thread"]


def test_a_client_lives_in_the_hub_of_the_thread_that_connects_it() -> None:
    got: list[str] = []

    def run() -> None:
        with WebSocketClient(server.url) as client:
            client.send("in a thread")
            got.append(str(client.receive(5)))
        gevent.get_hub().destroy(destroy_loop=True)
        got.append("end")

    with scripted(echo) as server:
        with WebSocketClient(server.url):
            pass
        start_thread(run, ())
        wait_until(lambda: len(got) == 2)
    assert got == ["in a thread", "end"]


# --- the process ------------------------------------------------------------------------------------------

_SCRIPT = """
import sys
{patch}
import gevent
from ws4py_middleware.client.geventclient import WebSocketClient

class Client(WebSocketClient):
    def closed(self, code, reason=None):
        print("closed", code)

client = Client(sys.argv[1])
client.connect()
client.send("x")
print(client.receive(5))
"""


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
def test_the_exit_is_quiet_while_it_is_connected_and_the_server_is_told(
    patch: str,
) -> None:
    said: list[bytes] = []

    def script(visit: Visit) -> None:
        visit.accept()
        visit.send(build_frame(TEXT, visit.read_frame()[1]))
        said.append(visit.answer_close()[:2])

    command = [sys.executable, "-W", "error", "-c", _SCRIPT.format(patch=patch)]
    with scripted(script) as server:
        done = subprocess.run([*command, server.url], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"x\nclosed 1001\n"
    assert said == [(1001).to_bytes(2, "big")]


def test_all_of_this_works_monkey_patched() -> None:
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import sys, pytest\n"
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = ["-q", "-p", "no:cacheprovider", "-k", "not monkey_patched and not exit"]
    done = subprocess.run(
        [sys.executable, "-c", code, *options, __file__],
        cwd=ROOT,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
