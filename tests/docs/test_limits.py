"""docs/howto/limits.md: what its applications take, and what a peer gets beyond it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from docs.code.limits import app
from tests.docs.pages import CODE, read_commands, read_page, read_table
from tests.servers import Server, start
from ws4py_middleware.config import websockets_from_config
from ws4py_middleware.core.policy import Policy

PAGE = read_page("howto/limits")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("gunicorn-gthread", "docs.code.limits.app:app") as running:
        yield running
        assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("path", "fits", "too_long"),
    [("/chat", 16 * 2**10, 16 * 2**10 + 1), ("/upload", 8 * 2**20, 8 * 2**20 + 1), ("/feed", 125, 126)],
)
def test_message_that_is_too_long_is_1009(server: Server, path: str, fits: int, too_long: int) -> None:
    with open_ws(server, path) as client:
        client.send(b"x" * fits)
        if path == "/upload":
            assert client.recv(timeout=10) == f"{fits} bytes"
        elif path == "/chat":
            assert client.recv(timeout=10) == b"x" * fits
        assert close_code(client, [b"x" * too_long]) == 1009


def test_more_messages_than_the_rate_are_1008_but_not_for_the_route_that_says_so(server: Server) -> None:
    with open_ws(server, "/upload") as client:
        for _ in range(60):
            client.send("x")
        assert [client.recv(timeout=5) for _ in range(60)] == ["1 bytes"] * 60
    with open_ws(server, "/chat") as client:
        assert close_code(client, ["x"] * 60) == 1008


def open_ws(server: Server, path: str, **headers: str) -> ClientConnection:
    return connect(
        server.ws_url + path, proxy=None, compression=None, max_size=None, additional_headers=headers
    )


def close_code(client: ClientConnection, messages: list[str | bytes]) -> int | None:
    try:
        for message in messages:
            client.send(message)
        list(client)
    except ConnectionClosed:
        pass
    return client.close_code


def test_person_may_have_so_many_connections_and_nobody_without_a_name_has_any() -> None:
    with start("gunicorn-gthread", "docs.code.limits.people:app") as server, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(open_ws(server, "/chat", **{"X-Token": "token-of-ann"}))
        with open_ws(server, "/chat", **{"X-Token": "token-of-bob"}) as bob:
            bob.send("hello")
            assert bob.recv(timeout=5) == "hello"
        for token, status in (("token-of-ann", 429), ("of nobody", 403)):
            with pytest.raises(InvalidStatus) as refused:
                open_ws(server, "/chat", **{"X-Token": token})
            assert refused.value.response.status_code == status
            assert ("Retry-After" in refused.value.response.headers) == (status == 429)


def test_file_says_the_same_as_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CODE / "limits")
    monkeypatch.syspath_prepend(str(CODE / "limits"))
    monkeypatch.setitem(sys.modules, "app", app)
    by_code: Any = app.app.wsgi_app
    by_file = websockets_from_config(app.app, "ws4py_middleware.toml")
    for path in ("/chat", "/upload", "/feed"):
        ours, theirs = (each.router.match(path) for each in (by_code, by_file))
        assert ours == theirs


def test_command_lists_what_holds_for_each_route() -> None:
    (words,) = read_commands(PAGE, "ws4py-middleware")
    done = subprocess.run(
        [sys.executable, "-m", "ws4py_middleware", *words],
        cwd=CODE / "limits",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    for setting in ("/chat", "/upload", "/feed", "max_message_size = 16384", "max_message_size = 125"):
        assert setting in done.stdout


def test_every_setting_that_the_page_names_is_there() -> None:
    names = {name for _, cell in read_table(PAGE, "you have") for name in re.findall(r"`(\w+)[`=]", cell)}
    assert names - {"reauthorize"} <= {*Policy.__dataclass_fields__, "ulimit"}
    assert len(names) > 10
