"""Clients that come back, in threads: who waits, who dials, and what managers and processes make of it."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.wire import build_close
from tests.drivers.peer import wait_until
from tests.entrances.phoenix import (
    LATE,
    SOON,
    close,
    echo,
    in_thread,
    no_threads_stay,
    phoenix,
    refuse,
    say,
)
from tests.entrances.scripted import Visit, no_leaks, text
from tests.servers import ROOT, server_context
from ws4py_middleware.client import Backoff, WebSocketBaseClient
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.exc import ConnectionClosed
from ws4py_middleware.link import Link
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with no_leaks(), no_threads_stay():
        yield


class Hooks:
    """Comes before a client's class, and notes which hook is called in which thread."""

    seen: list[tuple[Any, ...]]

    def __init__(self, *args: Any, **options: Any) -> None:
        self.seen = []
        self.threads: set[str] = set()
        super().__init__(*args, **options)

    def _note(self, *what: Any) -> None:
        self.seen.append(what)
        self.threads.add(threading.current_thread().name)

    def opened(self) -> None:
        self._note("opened")

    def received_message(self, message: Message) -> None:
        self._note(str(message))

    def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
        self._note("reconnecting", attempt)

    def unhandled_error(self, error: BaseException) -> None:
        self._note("gave up")

    def closed(self, code: int, reason: str | None = None) -> None:
        self._note("closed", code)


class Base(Hooks, WebSocketBaseClient):
    pass


class Threaded(Hooks, WebSocketClient):
    pass


STORY: list[tuple[Any, ...]] = [
    ("opened",),
    ("closed", 1012),
    ("reconnecting", 1),
    ("opened",),
    ("a",),
    ("closed", 1001),
    ("reconnecting", 2),
    ("opened",),
    ("b",),
    ("closed", 1000),
]


def say_and_close(what: str, code: int) -> Any:
    return lambda visit: visit.accept(text(what) + build_close(code)) or visit.answer_close()


# --- in the caller's thread, or one of its own ------------------------------------------------------------


def test_run_goes_on_across_connections_and_all_hooks_come_in_its_thread() -> None:
    with phoenix(close(1012), say_and_close("a", 1001), say_and_close("b", 1000)) as bird:
        client = Base(bird.url, reconnect=SOON)
        client.connect()
        client.run()
        assert client.seen == STORY
        assert client.threads == {"MainThread"}
        assert not client.once()


def test_once_goes_on_across_connections() -> None:
    with phoenix(close(1012), say_and_close("a", 1001), say_and_close("b", 1000)) as bird:
        client = Base(bird.url, reconnect=SOON)
        client.connect()
        while client.once():
            pass
        assert client.seen == STORY
        with pytest.raises(ConnectionClosed):
            client.send("x")


def test_a_client_with_a_thread_has_one_for_all_its_connections() -> None:
    with phoenix(close(1012), say_and_close("a", 1001), say_and_close("b", 1000)) as bird:
        client = Threaded(bird.url, reconnect=SOON)
        client.connect()
        thread = client._th
        client.run_forever()
        assert client.seen == STORY
        assert client.threads == {"WebSocketClient"}
        assert client._th is thread
        client.connect()  # and once more, by hand
        client.close()
        client.run_forever()


def test_iteration_goes_on_across_connections() -> None:
    class Listener(WebSocketBaseClient):
        pass

    with phoenix(close(1012), say_and_close("a", 1001), say_and_close("b", 1000)) as bird:
        with Listener(bird.url, reconnect=SOON) as client:
            assert [str(message) for message in client] == ["a", "b"]


def test_who_only_sends_comes_back_too() -> None:
    with phoenix(lambda visit: visit.accept(), echo) as bird:
        client = WebSocketBaseClient(bird.url, reconnect=SOON)
        client.connect()
        sent = 0
        while len(bird.visits) < 2 or not client.is_open:
            client.send(str(sent))
            sent += 1
            time.sleep(0.005)
        client.send("last")
        got: list[str] = []
        while not got or got[-1] != "last":
            got.append(str(client.receive(5)))
        numbers = [int(number) for number in got[:-1]]
        assert numbers == list(range(numbers[0], sent))
        assert numbers[0] <= 2  # what the first connection had taken is lost
        client.close()
        client.run()


@pytest.mark.parametrize("cls", [WebSocketBaseClient, WebSocketClient])
def test_a_sender_waits_at_the_bound_until_there_is_a_connection(cls: Any) -> None:
    with phoenix(echo) as bird:
        client = cls(bird.url, reconnect=SOON, write_limit=3 * (100 + 14))
        client.connect()
        bird.stop()
        while client.is_open:
            with pytest.raises(TimeoutError):
                client.receive(0.02)
        late = threading.Timer(0.1, bird.start, [echo])
        late.start()
        for number in range(10):
            client.send(str(number).ljust(100))
        late.join()
        assert [str(client.receive(5)).strip() for _ in range(10)] == [str(number) for number in range(10)]
        client.close()
        client.run()


def test_a_hook_between_two_connections_may_send_and_must_not_wait() -> None:
    class Eager(Base):
        def reconnecting(self, attempt: int, delay: float, cause: Exception) -> None:
            self.send("from the hook")
            with pytest.raises(RuntimeError, match="a hook would wait for what comes after it"):
                self.receive()

    with phoenix(close(1012), echo) as bird:
        client = Eager(bird.url, reconnect=SOON)
        client.connect()
        while ("from the hook",) not in client.seen:
            assert client.once()
        client.close()
        client.run()


def test_several_threads_may_wait_and_send() -> None:
    lost = threading.Event()

    def first(visit: Visit) -> None:
        visit.accept()
        lost.wait(10)

    with phoenix(first, echo) as bird:
        client = WebSocketBaseClient(bird.url, reconnect=SOON)
        client.connect()
        got: list[str] = []
        receivers = [in_thread(lambda: got.extend(str(message) for message in client)) for _ in range(3)]
        lost.set()
        wait_until(lambda: not client.is_open)

        def talk(name: str) -> None:
            for number in range(50):
                client.send(f"{name}{number}")

        senders = [in_thread(talk, name) for name in "abc"]
        for thread in senders:
            thread.join(10)
        wait_until(lambda: len(got) == 150)
        assert sorted(got) == sorted(f"{name}{number}" for name in "abc" for number in range(50))
        client.close()
        for thread in receivers:
            thread.join(10)
            assert not thread.is_alive()


def test_connect_by_hand_takes_the_place_of_the_next_attempt() -> None:
    with phoenix(close(1012), echo) as bird:
        client = Base(bird.url, reconnect=LATE)
        client.connect()
        while ("reconnecting", 1) not in client.seen:
            with pytest.raises(TimeoutError):
                client.receive(0.01)
        client.connect()
        client.send("x")
        while ("x",) not in client.seen:
            client.once()
        assert client.seen[-2:] == [("opened",), ("x",)]
        client.close()
        client.run()


@pytest.mark.parametrize("cls", [Base, Threaded])
def test_closed_may_connect_by_hand_after_an_end_that_was_meant(cls: Any) -> None:
    class Stubborn(cls):  # type: ignore[misc]
        def closed(self, code: int, reason: str | None = None) -> None:
            super().closed(code, reason)
            if code == 1000:
                self.connect()

    with phoenix(close(1000), close(1012), close(4000)) as bird:
        client = Stubborn(bird.url, reconnect=SOON)
        client.connect()
        client.run()
        assert [code for name, *code in client.seen if name == "closed"] == [[1000], [1012], [4000]]
        assert [name for name, *_ in client.seen].count("reconnecting") == 1


def test_the_count_begins_anew_behind_a_connection_that_has_lived() -> None:
    def live(visit: Visit) -> None:
        visit.accept()
        time.sleep(1.05)

    with phoenix(close(1012), close(1012), live, say_and_close("", 1000)) as bird:
        client = Base(bird.url, reconnect=Backoff(initial=0.01, maximum=1, factor=1))
        client.connect()
        client.run()
        assert [number for name, *number in client.seen if name == "reconnecting"] == [[1], [2], [1]]


def test_a_certificate_that_is_wrong_is_no_reason_to_try_again() -> None:
    with phoenix(lambda visit: visit.accept(), tls=server_context()) as bird:
        client = Base(bird.url, reconnect=SOON, ssl_options={"cert_reqs": 0})
        client.connect()
        client.ssl_options = {}  # now it verifies
        client.run()
        assert [name for name, *_ in client.seen] == ["opened", "closed", "reconnecting", "gave up"]


def test_without_reconnect_there_is_nothing_of_it() -> None:
    with phoenix(echo) as bird, WebSocketBaseClient(bird.url) as client:
        assert client.reconnect is None
        assert client._reconnecting is None
        assert type(client._link) is Link
    with pytest.raises(TypeError, match="reconnect is 5"):
        WebSocketBaseClient("ws://h", reconnect=5)  # type: ignore[arg-type]


def test_a_dial_into_a_black_hole_ends_with_the_client() -> None:
    with phoenix(close(1012)) as bird, socket.create_server(("127.0.0.1", 0), backlog=0) as hole:
        fillers = []
        for _ in range(8):  # a backlog that is full swallows what comes
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
            fillers.append(filler)
        client = Base(bird.url, reconnect=SOON, open_timeout=60)
        client.connect()
        client.port = hole.getsockname()[1]
        with no_threads_stay():
            with pytest.raises(TimeoutError):
                client.receive(0.3)
            began = time.monotonic()
            client.close()
            assert time.monotonic() - began < 1
        for filler in fillers:
            filler.close()


SCRIPT = """
import sys
from ws4py_middleware.client import Backoff
from ws4py_middleware.client.threadedclient import WebSocketClient

client = WebSocketClient(sys.argv[1], reconnect=Backoff(initial=60, maximum=60, jitter=False))
client.connect()
client.reconnecting = lambda *args: sys.exit()
while client.is_open:
    pass
print("away")
"""


def test_a_client_that_is_away_keeps_no_interpreter_from_its_exit() -> None:
    with phoenix(close(1012)) as bird:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT, bird.url],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=ROOT,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "away\n")
        assert time.monotonic() - began < 20


# --- in a manager's hands ----------------------------------------------------------------------------------


@pytest.fixture
def manager() -> Iterator[WebSocketManager]:
    manager = WebSocketManager()
    manager.daemon = True
    manager.start()
    yield manager
    manager.stop()


def make_class(manager: WebSocketManager) -> type[Base]:
    class Managed(Base):
        def handshake_ok(self) -> None:
            manager.add(self)

    return Managed


def test_clients_of_a_manager_come_back_to_it_and_few_threads_dial(manager: WebSocketManager) -> None:
    with phoenix(echo, parallel=True) as bird:
        clients = [make_class(manager)(bird.url, reconnect=SOON) for _ in range(60)]
        for client in clients:
            client.connect()
        bird.stop()
        wait_until(lambda: len(manager) == 0)
        for number, client in enumerate(clients):
            client.send(str(number))
        # Beside those in which the manager's hooks run, of which there may be more on a slow machine.
        most = sum(not thread.name.startswith(manager.name) for thread in threading.enumerate())
        bird.start(echo, parallel=True)
        wait_until(lambda: all(client.is_open for client in clients), 20)
        assert sum(thread.name == "WebSocket dialer" for thread in threading.enumerate()) <= 16
        assert most <= 16 + 5
        wait_until(lambda: all(client.seen[-1] == (str(number),) for number, client in enumerate(clients)))
        assert len(manager) == 60
        for client in clients:
            client.close()
        for client in clients:
            client.run()
            assert [name for name, *_ in client.seen].count("opened") == 2


def test_one_that_was_added_by_hand_is_added_again(manager: WebSocketManager) -> None:
    with phoenix(close(1012), say(text("again"))) as bird:
        client = WebSocketBaseClient(bird.url, reconnect=SOON)
        client.connect()
        manager.add(client)
        assert str(client.receive(5)) == "again"
        assert client in manager
        client.close()
        client.run()


@pytest.mark.parametrize("end", ["stop", "shutdown"])
def test_a_manager_that_ends_has_nobody_come_back(manager: WebSocketManager, end: str) -> None:
    with phoenix(echo, parallel=True) as bird:
        there, away = (make_class(manager)(bird.url, reconnect=SOON) for _ in range(2))
        there.connect()
        away.connect()
        away.reconnecting = lambda *args: hooked.set()  # type: ignore[method-assign]
        hooked = threading.Event()
        away._link.transport.sock.shutdown(2)  # type: ignore[union-attr]
        wait_until(hooked.is_set)
        getattr(manager, end)()
        visits = len(bird.visits)
        wait_until(lambda: not any(thread.name == "WebSocket dialer" for thread in threading.enumerate()))
        assert len(bird.visits) <= max(visits, 3)
        assert not there.is_open
        assert len(manager) == 0
        away.close()
        there.run()


def test_close_all_is_meant(manager: WebSocketManager, caplog: pytest.LogCaptureFixture) -> None:
    with phoenix(echo, parallel=True) as bird:
        client = make_class(manager)(bird.url, reconnect=SOON)
        client.connect()
        manager.close_all(1001, "")
        client.run()
        assert client.seen == [("opened",), ("closed", 1001)]
        assert len(bird.visits) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_manager_is_told_why_there_is_no_connection(manager: WebSocketManager) -> None:
    with phoenix(close(1012), refuse("410 Gone")) as bird:
        client = make_class(manager)(bird.url, reconnect=SOON)
        client.connect()
        client.run()
        assert client.seen[-2:] == [("reconnecting", 1), ("gave up",)]
        with pytest.raises(ConnectionClosed, match="410 Gone"):
            client.send("x")
