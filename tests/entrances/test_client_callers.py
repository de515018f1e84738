"""Who calls a client's hooks, and when: nobody twice, no two at once, and whoever comes second is told so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.wire import BINARY, CLOSE, build_close
from tests.entrances.scripted import BOUND, Visit, no_leaks, scripted, text
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware.messaging import Message

CLASSES: list[type[WebSocketBaseClient]] = [WebSocketBaseClient, WebSocketClient]


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    with no_leaks():
        yield


def echo(visit: Visit) -> None:
    visit.accept()
    visit.echo()


def take_all(visit: Visit) -> None:
    visit.accept(text("early"))
    visit.answer_close()


class Diary(WebSocketBaseClient):
    """Note when each hook begins and ends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[Any] = []

    def opened(self) -> None:
        self.seen.append("opened")

    def received_message(self, message: Message) -> None:
        self.seen.append(str(message))

    def closed(self, code: int, reason: str | None = None) -> None:
        self.seen.append(code)


# --- one after the other ---------------------------------------------------------------------------------


def test_no_message_is_dispatched_while_opened_waits_for_room() -> None:
    class Talkative(Diary):
        def opened(self) -> None:
            for _ in range(3):
                self.send(bytes(4_000_000), binary=True)
            self.seen.append("opened")

    with scripted(take_all) as server:
        client = Talkative(server.url)
        client.connect()
        client.close()
        client.run()
    assert client.seen == ["opened", "early", 1000]


def test_who_waits_in_another_thread_calls_no_hook_while_opened_runs() -> None:
    class Starter(Diary):
        def opened(self) -> None:
            self.thread = threading.Thread(target=self.run)
            self.thread.start()
            time.sleep(0.05)  # time enough to get it wrong
            super().opened()

    with scripted(take_all) as server:
        client = Starter(server.url)
        client.connect()
        client.close()
        client.thread.join(BOUND)
    assert client.seen == ["opened", "early", 1000]


def test_what_opened_has_sent_has_left_when_connect_returns() -> None:
    arrived = threading.Event()

    def script(visit: Visit) -> None:
        visit.accept()
        assert visit.read_frame() == (BINARY, bytes(8_000_000))
        arrived.set()
        visit.answer_close()

    class Talkative(WebSocketBaseClient):
        def opened(self) -> None:
            self.send(bytes(8_000_000), binary=True)

    with scripted(script) as server:
        client = Talkative(server.url)
        client.connect()
        assert arrived.wait(BOUND)
        client.close()
        client.run()


def test_once_in_a_hook_is_refused() -> None:
    class Impatient(Diary):
        def received_message(self, message: Message) -> None:
            with pytest.raises(RuntimeError, match="called in one"):
                self.once()
            super().received_message(message)

    with scripted(take_all) as server:
        client = Impatient(server.url)
        client.connect()
        while client.seen != ["opened", "early"]:
            client.once()
        client.close()
        client.run()


# --- no time, and no socket ------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_receive_without_any_time_looks_for_what_is_there(cls: type[WebSocketBaseClient]) -> None:
    with scripted(echo) as server, cls(server.url) as client:
        client.send("hello")
        deadline = time.monotonic() + BOUND
        message = None
        while message is None and time.monotonic() < deadline:
            try:
                message = client.receive(0)
            except TimeoutError:
                time.sleep(0.001)
        assert str(message) == "hello"


def test_a_socket_that_the_application_closes_is_a_lost_connection() -> None:
    errors: list[BaseException] = []
    with scripted(take_all) as server:
        client = Diary(server.url, ping_interval=None)
        client.unhandled_error = errors.append  # type: ignore[assignment,method-assign]
        client.connect()
        client.sock.close()
        client.run()
    assert client.seen == ["opened", 1006]
    assert "closed the socket" in str(errors)


@pytest.mark.parametrize("cls", CLASSES)
def test_what_is_read_after_close_has_no_gap(cls: type[WebSocketBaseClient]) -> None:
    def script(visit: Visit) -> None:
        visit.accept(b"".join(text(str(number)) for number in range(500)))
        visit.answer_close()

    with scripted(script) as server, cls(server.url, receive_queue_messages=4) as client:
        numbers = [int(str(client.receive(BOUND)))]
        client.close()
        for message in client:
            numbers.append(int(str(message)))
            time.sleep(0.001)  # slower than they come
    assert numbers == list(range(len(numbers)))


# --- connecting it twice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_connect_at_the_same_time_twice_is_a_runtimeerror(cls: type[WebSocketBaseClient]) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def script(visit: Visit) -> None:
        visit.read_request()
        asked.set()
        assert go_on.wait(BOUND)
        visit.send(visit.build_101())
        visit.answer_close()

    with scripted(script) as server:
        client = cls(server.url)
        first = threading.Thread(target=client.connect)
        first.start()
        assert asked.wait(BOUND)
        with pytest.raises(RuntimeError, match="about to be connected"):
            client.connect()
        go_on.set()
        first.join(BOUND)
        assert client.is_open
        with pytest.raises(RuntimeError, match="connected already"):
            client.connect()
        client.close()
        client.run()
    assert len(server.visits) == 1


@pytest.mark.parametrize("cls", CLASSES)
def test_connect_finds_out_that_closed_has_connected_meanwhile(cls: type[WebSocketBaseClient]) -> None:
    class Eager(cls):  # type: ignore[misc,valid-type]
        returns = 1

        def closed(self, code: int, reason: str | None = None) -> None:
            if self.returns:
                self.returns -= 1
                self.connect()

    with scripted(echo, parallel=True) as server:
        client = Eager(server.url)
        client.connect()
        client.close()
        with pytest.raises(RuntimeError, match="connected already"):
            client.connect()
        assert client.is_open
        client.close()
        client.run()
    assert len(server.visits) == 2


def test_closed_may_connect_while_connect_has_not_returned() -> None:
    class Eager(Diary):
        def opened(self) -> None:
            super().opened()
            if len(self.seen) == 1:
                self.terminate()

        def closed(self, code: int, reason: str | None = None) -> None:
            super().closed(code, reason)
            if len(self.seen) == 2:
                self.connect()

    with scripted(echo, parallel=True) as server:
        client = Eager(server.url)
        client.connect()
        client.close()
        client.run()
    assert client.seen == ["opened", 1006, "opened", 1000]


# --- a request of one's own ------------------------------------------------------------------------------


def test_what_a_subclass_makes_of_the_headers_is_what_is_sent() -> None:
    class Anonymous(Diary):
        @property
        def handshake_headers(self) -> list[tuple[str, str]]:
            headers = [header for header in super().handshake_headers if header[0] != "Origin"]
            return [*headers, ("X-Token", "secret")]

    with scripted(take_all) as server:
        client = Anonymous(server.url)
        client.connect()
        assert b"X-Token: secret" in client.handshake_request
        client.close()
        client.run()
    visit = server.visits[0]
    assert (visit.header("X-Token"), visit.header("Origin")) == (["secret"], [])


def test_run_waits_for_closed_which_is_just_about_to_connect_again() -> None:
    class Client(WebSocketClient):
        ends = 0

        def closed(self, code: int, reason: str | None = None) -> None:
            self.ends += 1
            if self.ends == 1:
                self.connect()

        def _forget_last(self) -> None:
            super()._forget_last()
            if self.ends:
                gone.set()
                assert go_on.wait(BOUND)

    def script(visit: Visit) -> None:
        visit.accept(build_close(1000))
        assert visit.read_frame()[0] == CLOSE

    gone, go_on = threading.Event(), threading.Event()
    with scripted(script) as server:
        client = Client(server.url)
        client.connect()
        assert gone.wait(BOUND)
        threading.Timer(0.1, go_on.set).start()
        client.run()
        assert client.ends == 2


# --- a manager that comes later --------------------------------------------------------------------------


def test_a_client_that_is_added_when_it_is_connected_is_opened_once_and_leaves_its_loop() -> None:
    def script(visit: Visit) -> None:
        visit.accept(text("early"))
        visit.echo()

    manager = WebSocketManager()
    manager.start()
    with scripted(script) as server:
        client = Diary(server.url)
        client.connect()
        while client.seen != ["opened", "early"]:
            client.once()
        with no_leaks():  # fewer, even: nobody pumps any more
            manager.add(client)
        client.send("hello")
        client.close()
        client.run()
    assert client.seen == ["opened", "early", "hello", 1000]
    manager.stop()
    manager.join(BOUND)


def test_a_client_with_a_thread_of_its_own_is_not_given_to_a_manager() -> None:
    manager = WebSocketManager()
    with scripted(take_all) as server:
        client = WebSocketClient(server.url)
        client.connect()
        with pytest.raises(RuntimeError, match="a thread of its own"):
            manager.add(client)
        assert len(manager) == 0
        client.close()
        client.run()
