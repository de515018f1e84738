"""Routes from Django's settings: live, with logins, and a database that nobody holds meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.entrances.wire import ask, build
from tests.servers import ASGI_KINDS, ROOT, Server, start, wait_for

APP = "tests.entrances.config_django_app"
ASGI = "tests.entrances.config_django_asgi"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make a database with one user."""
    env = {"TEST_DATABASE": str(tmp_path_factory.mktemp("django") / "db.sqlite3")}
    run(env, "-m", "tests.entrances.config_django_urls")
    return env


def run(env: Mapping[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, **env}, cwd=ROOT, check=True, timeout=60, text=True
    )


@pytest.fixture(scope="module", params=["gunicorn-gthread", "gunicorn-gevent", "uvicorn-websockets"])
def server(request: pytest.FixtureRequest, env: dict[str, str]) -> Iterator[Server]:
    app = f"{ASGI}:app" if request.param in ASGI_KINDS else f"{APP}:app"
    with start(request.param, app, env=env) as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def asgi(env: dict[str, str]) -> Iterator[Server]:
    with start("uvicorn-websockets", f"{ASGI}:app", env=env) as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def keeping(env: dict[str, str]) -> Iterator[Server]:
    """Start a server whose threads keep their database connections, by Django's own setting."""
    with start("gunicorn-gthread", f"{APP}:plain", env={**env, "TEST_MAX_AGE": "600"}) as server:
        yield server
        assert "Traceback" not in server.log


def connections(server: Server, env: Mapping[str, str]) -> int:
    """Count the open connections to the database: it is a file."""
    descriptors = Path(f"/proc/{server.pid}/fd").iterdir()
    return [os.path.realpath(each) for each in descriptors].count(os.path.realpath(env["TEST_DATABASE"]))


def wait_for_connections(server: Server, env: Mapping[str, str], count: int) -> None:
    wait_for(lambda: connections(server, env) == count, what=f"{count} connections to the database")


def login(server: Server, password: str = "lovelace") -> str:
    return server.http(f"/login?password={password}").headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("path", ["/count", "/function"])
def test_socket_holds_no_database_connection_between_callbacks(
    server: Server, env: dict[str, str], path: str
) -> None:
    with connect(server.ws_url + path, proxy=None) as ws:
        assert ws.recv(timeout=10) == "1 users"
        wait_for_connections(server, env, 0)
        ws.send("one")
        assert ws.recv(timeout=10) == "one 1"
        wait_for_connections(server, env, 0)


@pytest.mark.parametrize("path", ["/async", "/async-function"])
def test_async_handler_holds_no_database_connection_between_callbacks(
    asgi: Server, env: dict[str, str], path: str
) -> None:
    test_socket_holds_no_database_connection_between_callbacks(asgi, env, path)


def test_async_authorize_knows_the_user(asgi: Server) -> None:
    assert ask(asgi.connect(), build("/async-who")).status == 401
    headers = {"Cookie": login(asgi)}
    with connect(f"{asgi.ws_url}/async-who", additional_headers=headers, proxy=None) as ws:
        assert ws.recv(timeout=10) == "ada"


def test_function_in_a_transaction_keeps_its_connection(server: Server, env: dict[str, str]) -> None:
    with connect(f"{server.ws_url}/atomic", proxy=None) as ws:
        for text in ("one", "two"):
            ws.send(text)
            assert ws.recv(timeout=10) == f"{text} 2"
        assert connections(server, env) == 1
    wait_for_connections(server, env, 0)


def test_function_holds_none_even_where_django_keeps_them(keeping: Server, env: dict[str, str]) -> None:
    with connect(f"{keeping.ws_url}/function", proxy=None) as ws:
        assert ws.recv(timeout=10) == "1 users"
        wait_for_connections(keeping, env, 0)
    # The same without a context: what the others are about is there to be seen.
    with connect(f"{keeping.ws_url}/plain", proxy=None) as ws:
        assert ws.recv(timeout=10) == "1 users"
        assert connections(keeping, env) == 1


def test_policy_of_a_route_holds(server: Server) -> None:
    with connect(f"{server.ws_url}/count", proxy=None) as ws:
        ws.recv(timeout=10)
        ws.send("x" * 1025)
        with pytest.raises(ConnectionClosedError) as refused:
            ws.recv(timeout=10)
    assert refused.value.rcvd
    assert refused.value.rcvd.code == 1009


@pytest.mark.parametrize("cookie", [None, "sessionid=made-up", "sessionid=", "a;=; sessionid"])
def test_who_is_not_logged_in_is_refused(server: Server, env: dict[str, str], cookie: str | None) -> None:
    refused = ask(server.connect(), build("/who", {"Cookie": cookie}))
    assert (refused.status, refused.rest) == (401, b"who are you?\n")
    wait_for_connections(server, env, 0)


def test_user_of_the_session_is_known_to_authorize_and_to_the_handler(server: Server) -> None:
    cookie = login(server)
    with connect(f"{server.ws_url}/who", additional_headers={"Cookie": cookie}, proxy=None) as ws:
        assert ws.recv(timeout=10) == "ada"
    assert server.http("/", headers={"Cookie": cookie}).status == 200


def test_session_from_before_a_new_password_is_nobodys(server: Server) -> None:
    cookie = login(server)
    assert server.http("/change?password=byron").body == b"changed"
    assert ask(server.connect(), build("/who", {"Cookie": cookie})).status == 401
    assert server.http("/change?password=lovelace").body == b"changed"


def test_session_outlives_a_new_secret_key(env: dict[str, str]) -> None:
    code = f"""
import {APP}
from django.conf import settings
from django.test import Client
from ws4py_middleware.config.django import user_of
client = Client()
assert client.get("/login?password=lovelace").content == b"welcome"
environ = {{"HTTP_COOKIE": "sessionid=" + client.cookies["sessionid"].value}}
scope = {{"headers": [(b"cookie", b"a=b"), (b"Cookie", environ["HTTP_COOKIE"].encode())]}}
settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["tests"]
for request in (environ, environ, scope):
    assert user_of(request).username == "ada"
settings.SECRET_KEY_FALLBACKS = []
assert user_of(environ).is_anonymous
"""
    run(env, "-W", "error", "-c", code)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"/x": {"handler": "tests.entrances.config_handlers:Chat", "origin": "same"}},
            "settings.WEBSOCKETS: \"/x\".origin: there is no such setting; did you mean 'origins'?",
        ),
        ("none.toml", "none.toml: there is no such file"),
    ],
)
def test_wrong_settings_are_named(env: dict[str, str], settings: object, message: str) -> None:
    code = f"""
from django.conf import settings
settings.configure(WEBSOCKETS={settings!r})
from ws4py_middleware.config import ConfigError
from ws4py_middleware.config.django import get_wsgi_application
try:
    get_wsgi_application()
except ConfigError as error:
    assert {message!r} in str(error), error
else:
    raise AssertionError
"""
    run(env, "-W", "error", "-c", code)


def test_async_handler_is_refused_under_wsgi_when_it_starts() -> None:
    code = f"""
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "{ASGI}_settings"
from ws4py_middleware.config import ConfigError
from ws4py_middleware.config.django import get_wsgi_application
try:
    get_wsgi_application()
except ConfigError as error:
    assert "/async" in str(error), error
    assert "{ASGI}_settings.WEBSOCKETS: " in str(error), error
else:
    raise AssertionError
"""
    run({}, "-W", "error", "-c", code)
