"""``routes``: what it shows of an application, and what it says of one that it cannot show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import PROGRAM, Terminal
from tests.servers import ROOT
from ws4py_middleware.core.policy import Policy

HANDLERS = """
from ws4py_middleware import AsyncWebSocket, Route, WebSocket, WebSocketASGI, WebSocketMiddleware

class Chat(WebSocket):
    pass

class Later(AsyncWebSocket):
    pass

def echo(ws, **params):
    pass

async def aecho(ws, **params):
    pass

def site(environ, start_response):
    return []

broken = 7
app = WebSocketMiddleware(site, {"/chat/<room>": Route(Chat, max_message_size=64), "/echo": echo})

def create_app(limit):
    return WebSocketMiddleware(site, {"/made": Route(Chat, max_message_size=limit)})

asgi = WebSocketASGI(None, {"/later": Later, "/aecho": aecho}, ping_interval=5)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an application, and with routes in a file."""
    path = tmp_path_factory.mktemp("shop")
    (path / "shop.py").write_text(HANDLERS)
    (path / "routes.toml").write_text('[routes]\n"/file" = { handler = "shop:Chat", ping_interval = 7 }\n')
    (path / "wrong.toml").write_text('[routes]\n"/file" = "shop:Chatt"\n')
    (path / "raises.py").write_text("1 / 0\n")
    return path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "ws4py_middleware", "routes", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "COLUMNS": "160"},
    )


def test_routes_in_a_pipe_are_not_folded_however_long(folder: Path) -> None:
    name = "Talk" * 60
    (folder / "long.py").write_text(
        f"from shop import Chat, Route, WebSocketMiddleware, site\nclass {name}(Chat): pass\n"
        f"app = WebSocketMiddleware(site, {{'/a': Route({name}, origins=['http://{name}.example'])}})\n"
    )
    lines = run(folder, "long:app").stdout.splitlines()
    assert len(lines) == 2
    assert f"long:{name} " in lines[1]
    assert f"http://{name}.example" in lines[1]


def read(folder: Path, *arguments: str) -> list[dict[str, object]]:
    result = run(folder, "--json", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_routes_shows_handlers_and_what_differs(folder: Path) -> None:
    result = run(folder, "shop:app")
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1] == [
        "/chat/<room>",
        "shop:Chat",
        "class",
        "WebSocketMiddleware",
        *["max_message_size", "=", "64"],
    ]
    assert rows[2] == ["/echo", "shop:echo", "function", "WebSocketMiddleware", "–"]
    assert "\x1b" not in result.stdout, "no colour in a pipe"


def test_routes_all_shows_every_setting(folder: Path) -> None:
    text = run(folder, "shop:app", "--all").stdout
    for name in Policy.__dataclass_fields__:
        assert f"{name} = " in text


def test_routes_of_asgi_and_of_options_are_json(folder: Path) -> None:
    found = read(folder, "shop:asgi", "-r", "/more/<int(min=3):n>=shop:Later", "-c", "routes.toml")
    assert [(each["path"], each["handler"], each["kind"]) for each in found] == [
        ("/more/<int(min=3):n>", "shop:Later", "async class"),
        ("/file", "shop:Chat", "class"),
        ("/later", "shop:Later", "async class"),
        ("/aecho", "shop:aecho", "async function"),
    ]
    assert [each["sample"] for each in found] == ["/more/3", "/file", "/later", "/aecho"]
    intervals = [each["settings"]["ping_interval"] for each in found if isinstance(each["settings"], dict)]
    assert intervals == [20.0, 7.0, 5.0, 5.0]


def test_routes_of_what_a_factory_makes(folder: Path) -> None:
    (found,) = read(folder, "shop:create_app(32)")
    assert (found["path"], found["settings"]["max_message_size"]) == ("/made", 32)  # type: ignore[index]


def test_routes_of_nothing_but_options(folder: Path) -> None:
    (found,) = read(folder, "--route", "/up=shop:Chat")
    assert (found["path"], found["source"]) == ("/up", "WebSocketMiddleware")


def test_application_without_routes_is_told(folder: Path) -> None:
    result = run(folder, "shop:site")
    assert (result.returncode, result.stdout) == (1, "")
    assert "No WebSocket routes were found in shop:site." in result.stderr
    assert "--route" in result.stderr


def test_routes_in_a_terminal_are_coloured(folder: Path) -> None:
    with Terminal([*PROGRAM, "routes", "shop:app"], folder=folder) as terminal:
        terminal.wait()
        assert terminal.status == 0
        shown = terminal.lines
    assert shown[0].startswith("path")
    row = next(number for number, line in enumerate(shown) if line.startswith("/chat/<room>"))
    assert terminal.screen.buffer[row][0].fg == "cyan"
    assert "max_message_size = 64" in shown[row]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Name an application (module:app), a --route, or a --config."),
        (["shop"], "'shop' is no import path"),
        (["shop:ap"], "module 'shop' has no 'ap'; did you mean 'app'?"),
        (["sho:app"], "there is no module 'sho'; did you mean 'shop'?"),
        (
            ["shop:create_app(limit)"],
            "'shop:create_app(limit)' is no call of a factory: its arguments are to be",
        ),
        (["shop:broken"], "shop:broken is 7; a WSGI or ASGI application is something to call"),
        (["raises:app"], "module 'raises' cannot be imported: ZeroDivisionError: division by zero"),
        (["-c", "wrong.toml"], "wrong.toml:2: routes"),
        (["-c", "gone.toml"], "'gone.toml' does not exist"),
        (["-r", "up=shop:Chat"], "'up=shop:Chat' is no route; one is /chat/<room>=chat.handlers:Chat"),
        (["-r", "/up=shop"], "'/up=shop' is no route"),
        (["-r", "/up=shop:Chatt"], "did you mean 'Chat'?"),
        (["-r", "/up=shop:Chat", "-r", "/up=shop:echo"], "/up is given twice"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, arguments: list[str], text: str) -> None:
    result = run(folder, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert text in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_what_the_application_prints_is_no_part_of_the_answer(folder: Path) -> None:
    (folder / "chatty.py").write_text("from shop import app\nprint('hello')\n")
    result = run(folder, "--json", "chatty:app")
    assert (result.returncode, result.stderr) == (0, "hello\n")
    assert len(json.loads(result.stdout)) == 2
