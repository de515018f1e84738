"""examples/flask_chat under stock gunicorn with one sync worker, as a foreign client sees it."""

from __future__ import annotations

import contextlib
import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import websocket  # websocket-client

from tests.servers import ROOT, Server, start
from ws4py_middleware import browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--chdir", str(ROOT / "examples" / "flask_chat"))
    directory = tmp_path_factory.mktemp("server")
    with start("gunicorn-sync", "app:app", options=options, directory=directory) as server:
        yield server
    assert "Traceback" not in server.log


class Person:
    """Somebody in a room of the chat."""

    def __init__(self, server: Server, room: str, name: str) -> None:
        self.socket = websocket.create_connection(f"{server.ws_url}/chat/{room}?name={name}", timeout=10)
        self.welcome = self.hear("welcome")
        self.public = self.welcome["you"]

    def tell(self, request: object) -> None:
        self.socket.send(request if isinstance(request, str) else json.dumps(request))

    def hear(self, kind: str) -> dict[str, Any]:
        """Return the next message, which is to be of this type."""
        message: dict[str, Any] = json.loads(self.socket.recv())
        assert message["type"] == kind, message
        return message

    def leave(self) -> None:
        self.socket.close()

    def hang_up(self) -> None:
        assert self.socket.sock
        self.socket.sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def people(server: Server, room: str, *names: str) -> Iterator[list[Person]]:
    with contextlib.ExitStack() as stack:
        here: list[Person] = []
        for name in names:
            here.append(Person(server, room, name))
            stack.callback(here[-1].leave)
            for other in here[:-1]:
                assert other.hear("joined")["person"] == here[-1].public
        yield here


def test_page_of_a_room_is_answered_on_the_address_of_its_websocket(server: Server) -> None:
    front = server.http("/")
    assert (front.status, front.headers["Location"]) == (302, "/chat/lobby")
    page = server.http("/chat/tea%3Cb%3E")
    assert page.status == 200
    assert b"tea&lt;b&gt;" in page.body
    assert b"tea<b>" not in page.body
    assert b"//" not in page.body.replace(b"http://www.w3.org/2000/svg", b"")  # nothing from elsewhere
    for name in ("static/chat.js", "static/theme.js", "static/chat.css", "static/icon.svg", "replay.js"):
        assert f'"/{name}"'.encode() in page.body
        assert server.http(f"/{name}").status == 200
    script = server.http("/replay.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert script.body.decode() == browser.text("replay.js")


def test_what_is_said_comes_to_all_of_the_room_and_nobody_else(server: Server) -> None:
    with people(server, "said", "Ada", "Grace") as (ada, grace), people(server, "other", "Linus") as (linus,):
        assert [person["name"] for person in grace.welcome["people"]] == ["Ada", "Grace"]
        ada.tell({"type": "say", "text": "  <script>\n\u202e🍿  "})
        said = grace.hear("said")
        assert (said["from"], said["text"]) == (ada.public, "<script>\n\u202e🍿")
        assert ada.hear("said") == said
        linus.tell({"type": "say", "text": "alone"})
        assert linus.hear("said")["text"] == "alone"


def test_typing_name_and_leaving_are_told_to_the_others(server: Server) -> None:
    with people(server, "told", "Ada", "Grace", "Linus") as (ada, grace, linus):
        ada.tell({"type": "typing", "on": True})
        assert grace.hear("typing") == {"type": "typing", "id": ada.public["id"], "on": True}
        ada.tell({"type": "name", "name": " Countess\r\n\u202eof\x00 Lovelace "})
        renamed = {"id": ada.public["id"], "name": "Countess of Lovelace"}
        assert ada.hear("renamed")["person"] == renamed
        assert grace.hear("renamed")["person"] == renamed
        linus.hang_up()  # without a closing handshake
        assert ada.hear("left")["id"] == linus.public["id"]


def test_name_that_is_taken_gets_a_number(server: Server) -> None:
    with people(server, "names", "Ada", "ada", "", "Guest", "x" * 40) as here:
        assert [person.public["name"] for person in here] == ["Ada", "ada 2", "Guest", "Guest 2", "x" * 24]
        here[1].tell({"type": "name", "name": "Ada"})
        assert here[1].hear("renamed")["person"]["name"] == "Ada 2"


def test_last_fifty_messages_are_kept(server: Server) -> None:
    with people(server, "history", "Ada") as (ada,):
        for number in range(60):
            ada.tell({"type": "say", "text": f"{number}"})
            ada.hear("said")  # who has not caught up reads in the history, which has fifty
        kept = [f"{number}" for number in range(10, 60)]
        with people(server, "history", "Grace") as (grace,):
            assert [grace.hear("said")["text"] for _ in kept] == kept
            assert ada.hear("joined")["person"] == grace.public
            ada.tell({"type": "say", "text": "now"})
            assert grace.hear("said")["text"] == "now"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 10_000, "not JSON"),
        ("null", "Expected"),
        ("[]", "Expected"),
        ({}, "Expected"),
        ({"type": "say"}, "Expected"),
        ({"type": "say", "text": 1}, "Expected"),
        ({"type": "typing", "on": "yes"}, "Expected"),
        ({"type": "name", "name": None}, "Expected"),
        ({"type": "kick", "id": "1"}, "Expected"),
        ({"type": "say", "text": " \n "}, "A message cannot be empty"),
        ({"type": "say", "text": "x" * 2001}, "at most 2000 characters; this has 2001"),
        ({"type": "name", "name": "\x07"}, "A name cannot be empty"),
        ({"type": "name", "name": "x" * 25}, "at most 24 characters; this has 25"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_bad_request_is_answered_with_the_reason(server: Server, request_: object, reason: str) -> None:
    with people(server, f"bad-{uuid.uuid4()}", "Ada") as (ada,):
        ada.tell(request_)
        assert reason in ada.hear("error")["text"]
        ada.socket.send_binary(b"\xff\xfe")
        assert "not JSON" in ada.hear("error")["text"]
        ada.tell('{"type": "say", "text": "\\ud800 goes on"}')  # half a surrogate pair
        assert ada.hear("said")["text"] == "\ud800 goes on"


def test_who_hangs_up_with_answers_on_the_way_disturbs_nobody(server: Server) -> None:
    with people(server, "hang-up", "Ada", "Grace") as (ada, grace):
        for _ in range(200):
            grace.tell({"type": "kick"})
        grace.hang_up()
        assert ada.hear("left")["id"] == grace.public["id"]
        ada.tell({"type": "say", "text": "still here"})
        assert ada.hear("said")["text"] == "still here"
