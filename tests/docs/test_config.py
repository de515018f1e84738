"""docs/howto/config.md: its code runs, its files can be read, and its errors are those that come."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.docs.pages import CODE, read_page
from tests.entrances.in_process import ask
from tests.servers import ROOT, start
from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.config import ConfigError, routes_from
from ws4py_middleware.routing import Router

PAGE = read_page("howto/config")
FOLDER = CODE / "config"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy the files of the page, and be in their folder."""
    copy = tmp_path / "config"
    shutil.copytree(FOLDER, copy)
    monkeypatch.chdir(copy)
    monkeypatch.syspath_prepend(str(copy))
    yield copy
    for name in [name for name in sys.modules if name.partition(".")[0] == "chat"]:
        del sys.modules[name]


def router(path: str) -> Router:
    """Run a file, and return what its application has mounted."""
    mounted = runpy.run_path(path)["app"].wsgi_app
    assert isinstance(mounted, WebSocketMiddleware)
    return mounted.router


def test_file_and_dict_put_routes_in_front_of_an_application(folder: Path) -> None:
    found = router("app.py")
    match = found.match("/upload")
    assert match is not None
    assert (match.handler.__name__, match.policy.idle_timeout) == ("Upload", 1800)
    match = found.match("/chat/lobby")
    assert match is not None
    assert match.authorize is not None
    assert match.authorize({"HTTP_AUTHORIZATION": "Bearer of-a-friend"})
    assert not match.authorize({"HTTP_AUTHORIZATION": "Bearer of-nobody"})
    assert found.match("/echo")
    match = router("by_dict.py").match("/chat/lobby")
    assert match is not None
    assert match.policy.max_message_size == 256 * 1024


def test_application_of_the_page_is_served() -> None:
    options = ["--chdir", str(FOLDER)]
    with start("gunicorn-gthread", "app:app", options=options) as server:
        headers = {"Authorization": "Bearer of-a-friend"}
        with connect(server.ws_url + "/chat/tea", proxy=None, additional_headers=headers) as client:
            client.send("hello")
            assert client.recv(timeout=5) == "hello"
        with pytest.raises(InvalidStatus):
            connect(server.ws_url + "/chat/tea", proxy=None)
        assert "Traceback" not in server.log


def test_errors_are_those_of_the_page(folder: Path) -> None:
    (lines,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    for line in lines.splitlines():
        if "max_mesage_size" in line:
            options = 'handler = "chat.handlers:Chat", max_mesage_size = 1'
        elif "Caht" in line:
            options = 'handler = "chat.handlers:Caht"'
        else:
            options = 'handler = "chat.handlers:Chat", ping_interval = "15 minuets"'
        Path("ws4py_middleware.toml").write_text(f'[routes]\n"/chat" = {{ {options} }}\n')
        with pytest.raises(ConfigError) as refused:
            routes_from("ws4py_middleware.toml")
        assert str(refused.value) == line


def test_flask_application_has_its_routes(folder: Path) -> None:
    app = runpy.run_path("flask_app.py")["create_app"]()
    assert ask(app, "/chat/lobby").status_code == 403  # nobody has logged in
    assert ask(app, "/elsewhere").status_code == 404


@pytest.mark.parametrize("entrance", ["wsgi", "asgi"])
def test_django_project_has_its_routes(folder: Path, entrance: str) -> None:
    code = f"from project.{entrance} import application\n"
    code += "match = application.router.match('/chat/lobby')\n"
    code += "assert match.policy.hosts == ['localhost']\n"
    code += "assert match.authorize.__module__ == 'chat.members'"
    path = os.pathsep.join([str(folder), str(ROOT)])
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=60,
    )
