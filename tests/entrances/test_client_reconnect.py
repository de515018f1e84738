"""Clients of each kind that come back: after what, how, with which messages, and when they do not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients import KINDS, Session, make_client
from tests.entrances.phoenix import LATE, SOON, close, echo, in_thread, no_threads_stay, phoenix, refuse, say
from tests.entrances.scripted import BOUND, Visit, no_leaks, reset, text
from ws4py_middleware.client import Backoff
from ws4py_middleware.exc import ConnectionClosed, HandshakeError

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with no_leaks(), no_threads_stay():
        yield


class Told(list[Any]):
    """What a client's hook is told of its attempts, and what of giving up."""

    def __init__(self, session: Session) -> None:
        self.errors: list[BaseException] = []
        session.client.reconnecting = lambda *args: self.append(args)
        session.client.unhandled_error = self.errors.append


@contextlib.contextmanager
def away(kind: str, url: str, **options: Any) -> Iterator[tuple[Session, Told]]:
    """Connect a client that comes back, until the block ends."""
    with make_client(kind, url, **options) as session:
        told = Told(session)
        session.connect()
        while not session.told:
            time.sleep(0.001)  # opened() is called elsewhere
        yield session, told


def drain(session: Session, timeout: float = 0.05) -> None:
    """Let a client that does nothing by itself find out that it is away."""
    with pytest.raises(TimeoutError, match=r"no message within 0\.05 s"):
        session.receive(timeout)


# --- after what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 1014])
def test_a_server_that_goes_away_is_found_again(kind: str, code: int) -> None:
    with phoenix(close(code, b"soon"), say(text("again"))) as bird, no_threads_stay():
        with away(kind, bird.url, reconnect=SOON) as (session, told):
            assert str(session.receive()) == "again"
            attempt, delay, cause = told[0]
            assert (attempt, 0 <= delay <= 0.01) == (1, True)
            assert isinstance(cause, ConnectionClosed)
            assert (cause.code, cause.reason, str(cause)) == (
                code,
                "soon",
                f"the connection has ended with {code} soon",
            )
            session.send("x")
            assert str(session.receive()) == "x"
            session.close()
            assert session.receive() is None
        assert session.told == ["opened", (code, "soon"), "opened", (1000, "")]
        assert len(told) == 1
        assert not told.errors


def cut(visit: Visit) -> None:
    visit.accept()


def reset_at_once(visit: Visit) -> None:
    visit.accept()
    reset(visit)


@pytest.mark.parametrize("end", [cut, reset_at_once])
def test_a_connection_that_is_lost_is_made_again(kind: str, end: Any) -> None:
    with phoenix(end, end, say(text("again"))) as bird:
        with away(kind, bird.url, reconnect=SOON) as (session, told):
            assert str(session.receive()) == "again"
            assert [cause.code for _, _, cause in told] == [1006, 1006]
            assert [attempt for attempt, _, _ in told] == [1, 2]
        assert [end[0] for end in session.told[1::2]] == [1006, 1006, 1000]


@pytest.mark.parametrize("code", [1000, None, 1002, 1008, 1009, 3000, 4000])
def test_an_end_that_is_meant_is_the_end(kind: str, code: int | None) -> None:
    with phoenix(close(code, b"" if code is None else b"no")) as bird:
        with away(kind, bird.url, reconnect=SOON) as (session, told):
            assert session.receive() is None
            assert session.code == (1005 if code is None else code)
            with pytest.raises(ConnectionClosed):
                session.send("x")
            assert session.receive() is None
        assert len(bird.visits) == 1
        assert not told
        assert not told.errors


def test_a_server_that_says_later_is_asked_then_and_one_that_says_no_is_believed(kind: str) -> None:
    scripts = [cut, refuse("503 Busy", "Retry-After: 0"), refuse("429 Slow Down"), refuse("403 Forbidden")]
    with phoenix(*scripts) as bird:
        with away(kind, bird.url, reconnect=SOON) as (session, told):
            assert session.receive() is None
            assert [attempt for attempt, _, _ in told] == [1, 2, 3]
            assert [cause.status for _, _, cause in told[1:]] == [503, 429]
            (error,) = told.errors
            assert isinstance(error, ConnectionClosed)
            assert isinstance(error.__cause__, HandshakeError)
            assert error.__cause__.status == 403
            assert "after 3 attempts: the server answered with 403 Forbidden" in str(error)
            with pytest.raises(ConnectionClosed, match="after 3 attempts"):
                session.send("x")


def test_retry_after_comes_before_the_clients_own_delay(kind: str) -> None:
    with phoenix(cut, refuse("503 Busy", "Retry-After: 7")) as bird:
        with away(kind, bird.url, reconnect=Backoff(initial=0.01, maximum=1)) as (session, told):
            began = time.monotonic()
            while len(told) < 2:
                drain(session)
            assert time.monotonic() - began < 5
            attempt, delay, cause = told[1]
            assert attempt == 2
            assert 7 <= delay <= 7.02
            assert isinstance(cause, HandshakeError)
            session.close()
            assert session.receive() is None
        assert len(bird.visits) == 2


def test_after_the_last_attempt_it_is_told_why(kind: str) -> None:
    with phoenix(close(1012)) as bird:
        with away(kind, bird.url, reconnect=Backoff(initial=0.01, attempts=2)) as (session, told):
            in_thread(bird.stop)
            assert session.receive() is None
            assert [attempt for attempt, _, _ in told] in ([1, 2], [1])  # one may still find it there
            (error,) = told.errors
            assert isinstance(error, ConnectionClosed)
            assert "there is no connection, after 2 attempts" in str(error)
            assert session.receive() is None


def test_a_client_that_is_asked_to_does_not_stop_at_its_first_attempt(kind: str) -> None:
    with phoenix() as bird:
        with make_client(kind, bird.url, reconnect=SOON) as session, pytest.raises(ConnectionRefusedError):
            session.connect()
        with make_client(kind, bird.url, reconnect=Backoff(initial=0.01, first=True)) as session:
            told = Told(session)

            def come_up() -> None:
                while len(told) < 2:
                    time.sleep(0.001)
                bird.start(echo)

            thread = in_thread(come_up)
            session.connect()
            thread.join()
            session.send("x")
            assert str(session.receive()) == "x"
        refused = [cause for _, _, cause in told]
        assert all(isinstance(cause, ConnectionRefusedError) for cause in refused)
        bird.stop()
        bird.start(refuse("404 Not Found"))
        with make_client(kind, bird.url, reconnect=Backoff(first=True)) as session:
            with pytest.raises(HandshakeError, match="404"):
                session.connect()
        bird.stop()
        with make_client(kind, bird.url, reconnect=Backoff(initial=0.01, attempts=2, first=True)) as session:
            Told(session)
            with pytest.raises(ConnectionRefusedError):
                session.connect()


# --- messages --------------------------------------------------------------------------------------------


def test_what_is_said_while_away_comes_in_order_and_once_behind_opened(kind: str) -> None:
    with phoenix(echo) as bird, away(kind, bird.url, reconnect=SOON) as (session, _):
        client = session.client
        tell = client.opened

        def opened() -> None:
            tell()
            client.send("hello")

        client.opened = opened
        bird.stop()
        with pytest.raises(TimeoutError):
            session.receive(0.05)
        session.send("a")
        session.send(b"\0b", binary=True)
        session.send(iter(["c", "d"]))
        assert not client.is_open
        bird.start(echo)
        got = [session.receive() for _ in range(4)]
        assert [message.data for message in got] == [b"hello", b"a", b"\0b", b"cd"]
        assert [message.is_text for message in got] == [True, True, False, True]
        assert client.is_open
        session.send("e")
        assert str(session.receive()) == "e"


def test_what_came_before_the_end_is_not_lost_and_comes_first(kind: str) -> None:
    def script(visit: Visit) -> None:
        visit.accept(b"".join(text(str(number)) for number in range(10)))

    with phoenix(script, say(*(text(str(number)) for number in range(10, 20)))) as bird:
        with away(kind, bird.url, reconnect=SOON) as (session, _):
            assert str(session.receive()) == "0"
            time.sleep(0.1)  # whoever has a thread is back by now
            assert [str(session.receive()) for _ in range(19)] == [str(number) for number in range(1, 20)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("drop-oldest", ["7", "8", "9"]), ("drop-newest", ["0", "1", "2"])],
)
def test_at_the_bound_the_policy_decides_which_messages_are_dropped(
    kind: str, policy: str, expected: list[str]
) -> None:
    with phoenix(echo) as bird:
        options = {"reconnect": SOON, "queue_policy": policy, "write_limit": 3 * (100 + 14)}
        with away(kind, bird.url, **options) as (session, _):
            bird.stop()
            drain(session)
            for number in range(10):
                session.send(str(number).ljust(100))
            bird.start(echo)
            assert [str(session.receive()).strip() for _ in expected] == expected


def test_at_the_bound_it_can_be_given_up(kind: str) -> None:
    with phoenix(echo) as bird:
        options = {"reconnect": LATE, "queue_policy": "disconnect", "write_limit": 300}
        with away(kind, bird.url, **options) as (session, _):
            bird.stop()
            drain(session)
            for _ in range(2):
                session.send("x" * 100)
            with pytest.raises(ConnectionClosed, match="more than 300 bytes wait for the next connection"):
                session.send("x" * 100)
            with pytest.raises(ConnectionClosed, match="more than 300 bytes"):
                session.send("")
            assert session.receive() is None


# --- the end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_close_while_away_ends_it_at_once(kind: str, end: str) -> None:
    with phoenix(close(1012)) as bird, away(kind, bird.url, reconnect=LATE) as (session, told):
        while not told:
            drain(session)
        began = time.monotonic()
        getattr(session, end)()
        assert session.receive() is None
        with pytest.raises(ConnectionClosed):
            session.send("x")
        assert time.monotonic() - began < 1
        assert len(bird.visits) == 1


def silent(visit: Visit) -> None:
    visit.read_request()
    visit.wait_end()


def test_close_while_it_dials_ends_that_at_once(kind: str) -> None:
    with phoenix(cut, silent) as bird, away(kind, bird.url, reconnect=SOON) as (session, _):
        while len(bird.visits) < 2 or not bird.visits[1].request:
            drain(session)
        began = time.monotonic()
        session.close()
        assert session.receive() is None
        with no_threads_stay():
            bird.stop()  # it would wait for the client's end
        assert time.monotonic() - began < 1


def test_the_hook_may_give_it_up_and_may_fail(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with phoenix(close(1012), close(1012), close(1012)) as bird:
        with make_client(kind, bird.url, reconnect=SOON) as session:

            def reconnecting(attempt: int, delay: float, cause: Exception) -> None:
                if attempt < 3:
                    raise ValueError("a fault of the application's")
                session.client.close()

            session.client.reconnecting = reconnecting
            session.connect()
            assert session.receive() is None
    assert len(bird.visits) == 3
    errors = [record for record in caplog.records if record.exc_info]
    assert len(errors) == 2
    assert "raised an exception between two connections" in errors[0].message


def test_waiting_is_bounded_also_while_it_dials_which_goes_on(kind: str) -> None:
    def slow(visit: Visit) -> None:
        visit.read_request()
        may_answer.wait(BOUND)
        visit.send(visit.build_101() + text("at last"))
        visit.echo()

    may_answer = threading.Event()
    with phoenix(cut, slow) as bird, away(kind, bird.url, reconnect=SOON, open_timeout=60) as (session, _):
        while len(bird.visits) < 2:
            drain(session)
        for _ in range(3):
            drain(session)
        may_answer.set()
        assert str(session.receive()) == "at last"
        assert len(bird.visits) == 2
