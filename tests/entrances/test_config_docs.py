"""docs/howto/config.md: its code runs, its files can be read, and its errors are those that come."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.entrances.in_process import ask, site
from tests.servers import ROOT
from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.config import ConfigError, routes_from

PAGE = (ROOT / "docs" / "howto" / "config.md").read_text(encoding="utf-8")

HANDLERS = """
from ws4py_middleware import WebSocket
class Chat(WebSocket): ...
class Upload(WebSocket): ...
"""


def block(language: str, beginning: str) -> str:
    """Find the code that has this in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [each for each in blocks if beginning in each]
    return str(found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the folder of an application that has a package ``chat``."""
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "__init__.py").touch()
    (tmp_path / "chat" / "handlers.py").write_text(HANDLERS)
    (tmp_path / "chat" / "auth.py").write_text("def is_member(environ, **params): return True")
    (tmp_path / "ws4py_middleware.toml").write_text(block("toml", "[defaults]"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "chat"]:
        del sys.modules[name]


def test_file_and_dict_put_routes_in_front_of_an_application(folder: Path) -> None:
    names: dict[str, Any] = {"app": site}
    exec(block("python", '"ws4py_middleware.toml"'), names)
    app = names["app"]
    assert isinstance(app, WebSocketMiddleware)
    match = app.router.match("/upload")
    assert match is not None
    assert (match.handler.__name__, match.policy.idle_timeout) == ("Upload", 1800)
    assert app.router.match("/chat/lobby")
    assert app.router.match("/echo")
    exec(block("python", "import Route"), names)
    match = names["app"].router.match("/chat/lobby")
    assert match.policy.max_message_size == 256 * 1024


def test_errors_are_those_of_the_page(folder: Path) -> None:
    for line in block("text", "max_mesage_size").splitlines():
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
    (folder / "chat" / "auth.py").write_text(block("python", "from flask import session"))
    names: dict[str, Any] = {"__name__": "demo"}
    exec(block("python", "def create_app"), names)
    app = names["create_app"]()
    assert ask(app, "/chat/lobby").status_code == 403  # nobody has logged in
    assert ask(app, "/elsewhere").status_code == 404


@pytest.mark.parametrize("entrance", ["wsgi", "asgi"])
def test_django_project_has_its_routes(folder: Path, entrance: str) -> None:
    code = block("python", "# wsgi.py").replace("wsgi", entrance)
    (folder / "project").mkdir()
    (folder / "project" / "settings.py").write_text(
        block("python", "# settings.py") + 'ALLOWED_HOSTS = ["localhost"]\nSECRET_KEY = "tests"\n'
    )
    (folder / "chat" / "auth.py").write_text(block("python", "# chat/auth.py"))
    code += "assert application.router.match('/chat/lobby').policy.hosts == ['localhost']"
    path = os.pathsep.join([str(folder), str(ROOT)])
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=60,
    )
