"""docs/howto/flask.md: its applications, on gunicorn and on `flask run`'s server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.entrances.visitor import Visitor
from tests.servers import Server, start


@pytest.fixture(scope="module", params=["gunicorn-gthread", "werkzeug"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request.param, "docs.code.flask.app:app") as server:
        yield server
        assert "Traceback" not in server.log


def test_view_decides_who_comes_in(server: Server) -> None:
    ada = Visitor(server)
    assert ada.refusal("/chat/lobby") == 401
    assert ada.ask("/login", {"name": "Ada"}).status == 200
    bob = Visitor(server)
    assert bob.ask("/login", {"name": "Bob"}).status == 200
    assert bob.refusal("/chat/board") == 403
    with ada.connect("/chat/lobby") as one, bob.connect("/chat/lobby") as other:
        assert [one.recv(10), other.recv(10)] == ["Welcome, Ada!", "Welcome, Bob!"]
        one.send("hello")
        assert [one.recv(10), other.recv(10)] == ["Ada: hello"] * 2
    assert ada.ask("/chat/lobby").status == 426  # a browser that asks for a page


def test_view_speaks_to_a_room(server: Server) -> None:
    ada = Visitor(server)
    assert ada.ask("/rooms/board", {"text": "lunch"}).status == 401
    ada.ask("/login", {"name": "Ada"})
    with ada.connect("/chat/board") as one:
        assert one.recv(10) == "Welcome, Ada!"
        assert json.loads(ada.ask("/rooms/board", {"text": "lunch"}).body) == {"here": ["Ada"]}
        assert one.recv(10) == "lunch"


def test_shortest_application_echoes() -> None:
    with start("gunicorn-sync", "docs.code.flask.shortest:app") as server:
        with Visitor(server).connect("/echo") as peer:
            peer.send("hello")
            assert peer.recv(10) == "hello"
        assert Visitor(server).refusal("/elsewhere") == 404
        assert Visitor(server).ask("/echo").status == 426


def test_handlers_of_the_factory_have_its_context() -> None:
    with start("gunicorn-gthread", "docs.code.flask.factory:create_app()") as server:
        ada = Visitor(server)
        assert ada.refusal("/greetings") == 403
        ada.ask("/login", {})
        with ada.connect("/greetings") as peer:
            assert peer.recv(10) == "Good morning!"
        assert "Traceback" not in server.log
