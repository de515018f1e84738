"""docs/howto/django.md: its site under gunicorn, runserver and uvicorn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import CODE
from tests.entrances.visitor import Visitor
from tests.servers import ASGI_KINDS, ROOT, Server, start

PASSWORD = "correct horse battery"
SET_UP = f"""
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
for name in ("ada", "grace"):
    User.objects.create_user(name, password="{PASSWORD}", is_superuser=name == "grace")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site in a folder of its own, with a database and two people in it."""
    folder = tmp_path_factory.mktemp("django") / "site"
    shutil.copytree(CODE / "django", folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-W", "error", "-c", SET_UP]
    subprocess.run(command, cwd=folder, env={**os.environ, **surroundings(folder)}, check=True, timeout=60)
    return folder


def surroundings(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "DJANGO_SETTINGS_MODULE": "mysite.settings"}


@pytest.fixture(scope="module", params=["gunicorn-gthread", "uvicorn-websockets"])
def server(request: pytest.FixtureRequest, site: Path) -> Iterator[Server]:
    app = "mysite.asgi:application" if request.param in ASGI_KINDS else "mysite.wsgi:application"
    with start(request.param, app, env=surroundings(site), directory=site) as server:
        yield server
    assert "Internal Server Error" not in server.log


@pytest.fixture(scope="module")
def cookies() -> dict[str, dict[str, str]]:
    """Sessions by name: they are in the database, and hold on every server of the site."""
    return {}


@pytest.fixture
def ada(server: Server, cookies: dict[str, dict[str, str]]) -> Visitor:
    return log_in(server, "ada", cookies)


@pytest.fixture
def grace(server: Server, cookies: dict[str, dict[str, str]]) -> Visitor:
    return log_in(server, "grace", cookies)


def log_in(server: Server, name: str, cookies: dict[str, dict[str, str]]) -> Visitor:
    visitor = Visitor(server)
    if name not in cookies:
        answer = visitor.submit("/login/", username=name, password=PASSWORD)
        assert answer.status == 302, answer.body
        cookies[name] = visitor.cookies
    visitor.cookies = cookies[name]
    return visitor


def test_session_decides_on_the_route(server: Server, ada: Visitor) -> None:
    assert Visitor(server).refusal("/live/lobby") == 403
    with ada.connect("/live/lobby") as peer:
        assert peer.recv(10) == "Welcome, ada!"
        peer.send("hello")
        assert peer.recv(10) == "ada: hello"


def test_view_speaks_to_a_room(ada: Visitor, grace: Visitor) -> None:
    with ada.connect("/live/kitchen") as peer:
        assert peer.recv(10) == "Welcome, ada!"
        token = {"csrfmiddlewaretoken": ada.cookies["csrftoken"]}
        assert ada.ask("/announce/kitchen/", {"text": "lunch", **token}).status == 403
        token = {"csrfmiddlewaretoken": grace.cookies["csrftoken"]}
        assert grace.ask("/announce/kitchen/", {"text": "lunch", **token}).body == b"told 1"
        assert peer.recv(10) == "lunch"


def test_view_that_returns_the_upgrade_decides_under_wsgi(server: Server, ada: Visitor) -> None:
    if server.kind in ASGI_KINDS:
        assert Visitor(server).refusal("/chat/lobby/") in (403, 404)
        return
    assert Visitor(server).refusal("/chat/lobby/") == 302
    assert ada.refusal("/chat/board/") == 403
    with ada.connect("/chat/lobby/") as peer:
        assert peer.recv(10) == "Welcome, ada!"
