"""Routes from Flask's configuration: live, with a database that nobody holds while nothing happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.entrances.config_flask_app import make, sockets
from tests.entrances.config_handlers import Chat
from tests.entrances.wire import ask, build
from tests.servers import Server, start, wait_for
from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.config import ConfigError
from ws4py_middleware.config.flask import WebSockets


@pytest.fixture(scope="module", params=["gunicorn-gthread", "gunicorn-gevent", "werkzeug"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request.param, "tests.entrances.config_flask_app:app") as server:
        yield server
        assert "Traceback" not in server.log


def wait_for_no_connection(server: Server) -> None:
    wait_for(lambda: server.http("/").body == b"0", what="the connection to the database to be closed")


@pytest.mark.parametrize("path", ["/chat/lobby", "/function/lobby", "/view"])
def test_each_callback_has_a_fresh_app_context_and_none_is_held_between(server: Server, path: str) -> None:
    with connect(server.ws_url + path, proxy=None) as one:
        room = path.rpartition("/")[2].upper()
        assert one.recv(timeout=10) == f"demo fresh {room} OPENED 1"
        wait_for_no_connection(server)
        for text in ("one", "two"):
            one.send(text)
            assert one.recv(timeout=10) == f"demo fresh {text.upper()} 1"
        wait_for_no_connection(server)
    wait_for_no_connection(server)


def test_function_that_waits_in_a_context_of_its_own_keeps_it(server: Server) -> None:
    with connect(f"{server.ws_url}/own", proxy=None) as ws:
        for state in ("fresh", "old"):
            ws.send("one")
            assert ws.recv(timeout=10) == f"demo {state} ONE 1"
    wait_for_no_connection(server)


def test_policy_of_a_route_holds(server: Server) -> None:
    with connect(f"{server.ws_url}/chat/lobby", proxy=None) as ws:
        ws.recv(timeout=10)
        ws.send("x" * 1025)
        with pytest.raises(ConnectionClosedError) as refused:
            ws.recv(timeout=10)
    assert refused.value.rcvd
    assert refused.value.rcvd.code == 1009


def test_authorize_sees_the_session_and_the_request(server: Server) -> None:
    cookie = server.http("/login/ada").headers["Set-Cookie"].partition(";")[0]
    refused = ask(server.connect(), build("/private/grace", {"Cookie": cookie}))
    assert (refused.status, refused.rest) == (403, b"/private/grace is not yours\n")
    with connect(f"{server.ws_url}/private/ada", additional_headers={"Cookie": cookie}, proxy=None) as ws:
        assert ws.recv(timeout=10) == "demo fresh ADA OPENED 1"


def test_one_extension_serves_many_applications() -> None:
    one, two = make(), make()
    middleware = one.extensions["websockets"]
    assert one.wsgi_app is middleware
    assert isinstance(middleware, WebSocketMiddleware)
    assert (middleware.policy.max_fragments, middleware.policy.ping_interval) == (7, None)
    assert two.wsgi_app is not middleware
    with pytest.raises(RuntimeError, match=r"call init_app\(\) once"):
        sockets.init_app(one)


def test_toml_file_is_in_the_folder_of_the_application(tmp_path: Path) -> None:
    app = Flask(__name__, root_path=str(tmp_path))
    app.config["WEBSOCKETS"] = "sockets.toml"
    with pytest.raises(ConfigError, match=r"sockets\.toml: there is no such file"):
        WebSockets(app)
    (tmp_path / "sockets.toml").write_text('"/<room>" = "tests.entrances.config_handlers:Chat"')
    WebSockets(app)
    match = app.extensions["websockets"].router.match("/lobby")
    assert match is not None
    assert issubclass(match.handler, Chat)


def test_wrong_configuration_is_named_as_the_one_of_flask() -> None:
    app = Flask(__name__)
    app.config["WEBSOCKETS"] = {"/chat": {"handler": "tests.entrances.config_handlers:Caht"}}
    with pytest.raises(ConfigError, match=r"app.config\[\"WEBSOCKETS\"\]: \"/chat\".handler: .*'Chat'\?"):
        WebSockets().init_app(app)
    assert "websockets" not in app.extensions
    WebSockets(app, {"/<room>": Chat})
    with pytest.raises(ConfigError, match="it is 5; it is a dict"):
        WebSockets(Flask(__name__), 5)  # type: ignore[arg-type]
