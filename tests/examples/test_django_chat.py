"""examples/django_chat, one project under gunicorn and under uvicorn: the session decides the upgrade."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket  # websocket-client

from tests.entrances.visitor import Form, Visitor
from tests.entrances.wire import ask, build
from tests.servers import ASGI_KINDS, ROOT, Server, start

EXAMPLE = ROOT / "examples" / "django_chat"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module", params=["gunicorn-gthread", "django-runserver", "uvicorn-websockets"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    env = {"DATABASE": str(directory / "db.sqlite3"), "PYTHONPATH": f"{EXAMPLE}{os.pathsep}{ROOT}"}
    manage(env, "migrate", "--verbosity", "0")
    app = "project.asgi:application" if request.param in ASGI_KINDS else "project.wsgi:application"
    env["DJANGO_SETTINGS_MODULE"] = "project.settings"  # runserver is told nothing else
    with start(request.param, app, env=env, directory=directory) as server:
        yield server
    assert "Traceback" not in server.log


def manage(env: dict[str, str], *command: str) -> None:
    arguments = [sys.executable, "-W", "error", str(EXAMPLE / "manage.py"), *command]
    subprocess.run(arguments, env={**os.environ, **env}, check=True, timeout=60)


class Browser(Visitor):
    """Somebody who comes to chat."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.inside: list[Person] = []

    def join(self, name: str) -> None:
        response = self.submit("/join/", username=name, password1=PASSWORD, password2=PASSWORD)
        assert (response.status, response.headers["Location"]) == (302, "/"), response.body

    def enter(self, room: str) -> Person:
        person = Person(self, room)
        self.inside.append(person)
        return person

    def leave(self) -> None:
        for person in self.inside:
            sock = person.socket.sock
            person.socket.close()
            if sock is not None:
                sock.close()  # the one above does nothing once the other end has begun to


class Person:
    """Somebody in a room."""

    def __init__(self, browser: Browser, room: str) -> None:
        url = f"{browser.server.ws_url}/chat/{room}/"
        self.socket = websocket.create_connection(
            url, timeout=10, cookie=browser.cookie, origin=browser.server.url
        )
        self.welcome = self.hear("welcome")

    def hear(self, kind: str) -> Any:
        """Return the next message of this type."""
        while True:
            message = json.loads(self.socket.recv())
            if message["type"] == kind:
                return message

    def say(self, text: str) -> None:
        self.socket.send(text)


@pytest.fixture
def people(server: Server, request: pytest.FixtureRequest) -> Iterator[list[Browser]]:
    """Two people who have made an account each, for this test alone."""
    browsers = []
    for name in ("ada", "grace"):
        browser = Browser(server)
        browser.join(f"{name}-{abs(hash(request.node.name))}")
        browsers.append(browser)
    yield browsers
    for browser in browsers:
        browser.leave()


def test_who_has_not_logged_in_gets_the_login_page_and_no_upgrade(server: Server) -> None:
    page = Browser(server).ask("/chat/lobby/")
    assert (page.status, page.headers["Location"]) == (302, "/login/?next=/chat/lobby/")
    assert ask(server.connect(), build("/chat/lobby/")).status == 403
    assert ask(server.connect(), build("/chat/lobby/", {"Cookie": "sessionid=made-up"})).status == 403


def test_login_opens_the_page_and_its_websocket(server: Server, people: list[Browser]) -> None:
    name = people[0].enter("lobby").welcome["you"]
    visitor = Browser(server)
    wrong = visitor.submit("/login/", username=name, password="wrong")
    assert b"correct username and password" in wrong.body
    right = visitor.submit("/login/?next=/chat/lobby/", username=name, password=PASSWORD)
    assert (right.status, right.headers["Location"]) == (302, "/chat/lobby/")
    page = visitor.ask("/chat/lobby/").body
    assert name.encode() in page
    for file in ("chat.js", "chat.css", "icon.svg"):
        assert f"/static/{file}".encode() in page
        assert visitor.ask(f"/static/{file}").status == 200
    assert visitor.enter("lobby").welcome["you"] == name
    visitor.leave()


def test_what_is_said_comes_to_both_under_the_name_and_is_kept(people: list[Browser]) -> None:
    ada, grace = people[0].enter("kitchen"), people[1].enter("kitchen")
    names = [ada.welcome["you"], grace.welcome["you"]]
    assert grace.hear("people")["names"] == names
    ada.say("  <b>Grüße</b>  ")
    said = grace.hear("said")["message"]
    assert (said["from"], said["text"]) == (names[0], "<b>Grüße</b>")
    assert ada.hear("said")["message"] == said
    grace.say("")
    assert "1 to 2000 characters" in grace.hear("error")["text"]
    grace.say("x" * 2001)
    assert "1 to 2000 characters" in grace.hear("error")["text"]
    grace.socket.close()
    while ada.hear("people")["names"] != names[:1]:
        pass
    assert people[1].enter("kitchen").welcome["history"] == [said]
    assert people[1].enter("garden").welcome["history"] == []


def test_who_logs_out_is_hung_up_on_and_not_let_in_again(server: Server, people: list[Browser]) -> None:
    ada, grace = people[0].enter("den"), people[1].enter("den")
    before = people[0].cookie
    people[0].ask("/logout/", Form(people[0].ask("/chat/den/").body).fields)
    opcode, data = ada.socket.recv_data()
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, data = ada.socket.recv_data()
    assert int.from_bytes(data[:2], "big") == 4001
    assert ask(server.connect(), build("/chat/den/", {"Cookie": before})).status == 403
    grace.say("still here")
    assert grace.hear("said")["message"]["text"] == "still here"


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"Origin": "https://evil.example"}, 403), ({"Host": "evil.example"}, 421)],
    ids=["origin", "host"],
)
def test_pages_of_others_cannot_connect_with_the_session(
    server: Server, people: list[Browser], changes: dict[str, str], status: int
) -> None:
    headers: dict[str, str | None] = {"Cookie": people[0].cookie, **changes}
    assert ask(server.connect(), build("/chat/lobby/", headers)).status == status


def test_room_with_an_endless_name_is_refused(server: Server, people: list[Browser]) -> None:
    request = build(f"/chat/{'x' * 65}/", {"Cookie": people[0].cookie})
    assert ask(server.connect(), request).status == 403


def test_migrations_are_those_of_the_models(tmp_path: Path) -> None:
    env = {"DATABASE": str(tmp_path / "db.sqlite3"), "PYTHONPATH": f"{EXAMPLE}{os.pathsep}{ROOT}"}
    manage(env, "makemigrations", "--check", "--dry-run", "--verbosity", "0")
