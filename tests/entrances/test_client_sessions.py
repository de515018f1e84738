"""Each kind of client speaks, closes, connects again, and leaves nothing behind."""

from __future__ import annotations

import gc
import time

import pytest

from tests.clients import KINDS, make_client, open_client
from tests.entrances.scripted import Visit, no_leaks, scripted, text
from ws4py_middleware.exc import HandshakeError
from ws4py_middleware.link import Link


def echo(visit: Visit) -> None:
    visit.accept()
    visit.echo()


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_speaks_and_closes(kind: str) -> None:
    with no_leaks(), scripted(echo) as server:
        with open_client(kind, server.url) as session:
            session.send("hello")
            assert str(session.receive()) == "hello"
            session.send(b"\x00\xff", binary=True)
            assert session.receive().data == b"\x00\xff"
            session.close(1000, "bye")
            assert session.receive() is None
            assert (session.code, session.reason) == (1000, "bye")
            session.connect()
            session.send("again")
            assert str(session.receive()) == "again"
        assert session.told[:3] == ["opened", (1000, "bye"), "opened"]
        assert session.code == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_what_connect_raises_comes_out(kind: str) -> None:
    def refuse(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with no_leaks(), scripted(refuse) as server:
        with pytest.raises(HandshakeError) as caught, open_client(kind, server.url):
            pass
        assert caught.value.status == 404
    with no_leaks(), make_client(kind, server.url) as session:
        with pytest.raises(OSError, match="no connection to"):
            session.connect()
        assert "opened" not in session.told


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_ended_waits_for_no_garbage_collection(kind: str) -> None:
    """Else the messages that nobody took are there until then."""

    def script(visit: Visit) -> None:
        visit.accept(text("taken") + text("not taken"))
        visit.wait_end()

    def count() -> int:
        return sum(
            issubclass(type(each), Link) for each in gc.get_objects()
        )  # some have a __class__ that raises

    gc.collect()
    gc.disable()
    try:
        before = count()
        with scripted(script) as server, make_client(kind, server.url) as session:
            session.connect()
            assert str(session.receive()) == "taken"
            session.terminate()
        del session
        deadline = time.monotonic() + 2
        while (now := count()) > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert now <= before
    finally:
        gc.enable()
