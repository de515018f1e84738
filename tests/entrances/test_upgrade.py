"""Views that return the upgrade: the application decides, and its answer holds."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.entrances.wire import HANDSHAKE, Answer, ask, build, read_head
from tests.servers import ROOT, Server, start
from ws4py_middleware import EchoWebSocket, WebSocketMiddleware, upgrade


def open_socket(server: Server, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
    return connect(server.ws_url + path, additional_headers=headers or {})


def refusal(server: Server, path: str) -> Answer:
    """Ask for an upgrade that is refused; that the connection ends, too, is what ask() waits for."""
    return ask(server.connect(), build(path))


def read_status(server: Server, path: str, headers: dict[str, str] | None = None) -> int:
    """Ask for an upgrade, and return what was answered; the connection may stay open behind it."""
    with contextlib.closing(server.connect()) as sock:
        sock.sendall(build(path, headers))
        return read_head(sock).status


def cookie(server: Server) -> str:
    """Log in, and return the session's cookie."""
    response = server.http("/login")
    assert response.body == b"welcome"
    return response.headers["Set-Cookie"].partition(";")[0]


# --- Flask -------------------------------------------------------------------------------------------


@pytest.fixture(
    scope="module", params=["gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent", "werkzeug", "wsgiref"]
)
def flask(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request.param, "tests.entrances.flask_app:app") as server:
        yield server
        assert "AssertionError" not in server.log


def test_flask_login_refuses_with_its_redirect(flask: Server) -> None:
    response = refusal(flask, "/chat/lobby")
    assert (response.status, response.get("Location")) == (302, "/login")
    assert response.get("X-Hook") == "1"


def test_flask_view_upgrades_with_params_and_the_original_environ(flask: Server) -> None:
    headers = {"Cookie": cookie(flask), "X-A": "b"}
    with open_socket(flask, "/chat/lobby", headers) as client:
        assert client.recv(timeout=5) == "{'room': 'lobby', 'user': 'ada'} websocket b"


def test_flask_cookies_and_headers_are_on_the_101_and_nothing_else(flask: Server) -> None:
    request = build("/chat/lobby", {"Cookie": cookie(flask)})
    with contextlib.closing(flask.connect()) as sock:
        sock.sendall(request)
        answer = read_head(sock)
    names = [name for name, _ in answer.headers]
    assert answer.status == 101
    assert (answer.get("Set-Cookie") or "").startswith("session=")
    assert (answer.get("X-Hook"), answer.get("Vary")) == ("1", "Cookie")
    assert sorted(names) == [
        "connection",
        "sec-websocket-accept",
        "set-cookie",
        "upgrade",
        "vary",
        "x-hook",
    ]


def test_flask_after_request_has_the_last_word(flask: Server) -> None:
    response = refusal(flask, "/replaced")
    assert (response.status, response.rest) == (403, b"the hook says no")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_flask_abort_is_the_refusal(flask: Server, status: int) -> None:
    response = refusal(flask, f"/abort/{status}")
    assert response.status == status
    assert response.get("X-Hook") == "1"


def test_flask_upgrade_that_was_not_returned_is_none(flask: Server) -> None:
    response = refusal(flask, "/forgotten")
    assert (response.status, response.rest) == (200, b"a page")


def test_flask_function_runs_with_its_params(flask: Server) -> None:
    with open_socket(flask, "/count/hall") as client:
        for expected in ("hall 7 a", "hall 8 b"):
            client.send(expected[-1])
            assert client.recv(timeout=5) == expected


def test_flask_route_has_settings_and_authorize_of_its_own(flask: Server) -> None:
    with open_socket(flask, "/small") as client:
        client.send("12345")
        with pytest.raises(ConnectionClosedError) as caught:
            client.recv(timeout=5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    response = refusal(flask, "/own-authorize")
    assert (response.status, response.rest) == (402, b"pay\n")


def test_flask_rule_that_is_marked_as_websocket_works_too(flask: Server) -> None:
    with open_socket(flask, "/marked") as client:
        assert client.recv(timeout=5) == "{'marked': True} websocket "


def test_flask_handshake_is_checked_though_the_view_agrees(flask: Server) -> None:
    assert ask(flask.connect(), build("/who", {"Sec-WebSocket-Key": "x"})).status == 400
    assert ask(flask.connect(), build("/who", {"Sec-WebSocket-Version": "8"})).status == 426
    assert ask(flask.connect(), build("/who", method="POST")).status == 405


def test_flask_plain_get_of_a_view_that_upgrades_is_426(flask: Server) -> None:
    response = flask.http("/who")
    assert response.status == 426
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert b"it is asked for with the header Upgrade: websocket" in response.body


def test_flask_settings_of_the_middleware_hold_for_views_and_those_of_a_class_for_itself(
    flask: Server,
) -> None:
    statuses = {
        (path, origin): read_status(flask, path, {"Origin": f"https://{origin}.example"})
        for path in ("/who", "/strict")
        for origin in ("app", "own")
    }
    assert statuses == {
        ("/who", "app"): 101,
        ("/who", "own"): 403,
        ("/strict", "app"): 403,
        ("/strict", "own"): 101,
    }


def test_flask_subprotocol_is_agreed_on(flask: Server) -> None:
    with connect(flask.ws_url + "/who", subprotocols=["x", "chat"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "chat"


def test_flask_view_that_fails_is_500(flask: Server) -> None:
    assert refusal(flask, "/broken").status == 500
    assert refusal(flask, "/wrong").status == 500
    assert "count(ws: 'Any', room: 'str', start: 'int') -> 'None' does not take" in flask.log
    assert flask.http("/").body == b"home"


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "gunicorn-gevent", "werkzeug", "wsgiref"])
def test_flask_without_the_middleware_upgrades_on_marked_rules(kind: str) -> None:
    with start(kind, "tests.entrances.flask_app:bare") as server:
        with open_socket(server, "/marked") as client:
            assert client.recv(timeout=5) == "{'marked': True} websocket "
        assert read_status(server, "/marked", {"Sec-WebSocket-Key": "x"}) == 400
        assert read_status(server, "/who") == 400, "Flask's own: the rule is not marked"
        assert server.http("/who").status == 426
        assert "Traceback" not in server.log


# --- Django ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["gunicorn-sync", "gunicorn-gevent", "django-runserver", "cheroot"])
def django(request: pytest.FixtureRequest) -> Iterator[Server]:
    # The runserver of the tests asks for the settings before it loads the site.
    env = {"DJANGO_SETTINGS_MODULE": "tests.entrances.django_settings"}
    with start(request.param, "tests.entrances.django_app:app", env=env) as server:
        yield server
        assert "Traceback" not in server.log


def test_django_login_refuses_with_its_redirect(django: Server) -> None:
    response = refusal(django, "/chat/lobby")
    assert (response.status, response.get("Location")) == (302, "/login")
    assert response.get("X-Content-Type-Options") == "nosniff"


def test_django_view_upgrades_with_its_session_on_the_101(django: Server) -> None:
    headers = {"Cookie": cookie(django)}
    with open_socket(django, "/chat/lobby", headers) as client:
        assert client.recv(timeout=5) == "{'room': 'lobby', 'user': 'ada'}"
    with contextlib.closing(django.connect()) as sock:
        sock.sendall(build("/chat/lobby", headers))
        answer = read_head(sock)
    assert answer.status == 101
    assert (answer.get("Set-Cookie") or "").startswith("sessionid=")
    assert not [name for name, _ in answer.headers if name.startswith("content-")]


def test_django_middleware_has_the_last_word(django: Server) -> None:
    response = refusal(django, "/replaced")
    assert (response.status, response.rest) == (403, b"the middleware says no")


def test_django_handshake_is_checked_though_the_view_agrees(django: Server) -> None:
    assert ask(django.connect(), build("/echo", {"Sec-WebSocket-Key": "x"})).status == 400
    assert ask(django.connect(), build("/echo", {"Origin": "https://evil.example"})).status == 403


def test_django_plain_get_of_a_view_that_upgrades_is_426(django: Server) -> None:
    response = django.http("/echo")
    assert response.status == 426
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert django.http("/nothing").status == 404


def test_django_without_the_middleware_says_what_to_do() -> None:
    with start("gunicorn-sync", "tests.entrances.django_app:bare") as server:
        assert read_status(server, "/echo") == 500
        assert (
            "RuntimeError: upgrade() was called in an application that is not wrapped; in wsgi.py, write"
            in (server.log)
        )


# --- in process -----------------------------------------------------------------------------------------


def answer_in_process(app: Any, path: str, **changes: str) -> tuple[int, dict[str, str], bytes]:
    """Call an application with an opening handshake, on a server that hides its socket."""
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    headers = {**HANDSHAKE, **changes} if changes != {"plain": "yes"} else {}
    environ = EnvironBuilder(path, headers=list(headers.items())).get_environ()
    body, status, answered = run_wsgi_app(app, environ, buffered=True)
    return int(status[:3]), dict(answered), b"".join(body)


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_view_that_upgrades_on_a_server_that_hides_its_socket_is_501(framework: str) -> None:
    site = importlib.import_module(f"tests.entrances.{framework}_app")
    path = "/who" if framework == "flask" else "/echo"
    status, _, text = answer_in_process(site.app, path)
    assert status == 501
    assert b"this server does not give up its connection" in text
    status, headers, text = answer_in_process(site.app, path, plain="yes")
    assert (status, headers["Upgrade"]) == (426, "websocket")
    assert b"it is asked for with the header Upgrade: websocket" in text
    assert answer_in_process(site.app, "/replaced")[0] == 403


def test_view_of_an_application_that_is_not_wrapped_is_501_or_says_so() -> None:
    site = importlib.import_module("tests.entrances.flask_app")
    assert answer_in_process(site.bare, "/marked")[0] == 501
    # Within Flask's own context it is Flask that is asked, though Django is set up, too.
    importlib.import_module("tests.entrances.django_app")
    with site.bare.test_request_context("/marked"):
        assert not hasattr(upgrade(EchoWebSocket), "status_code")
    with pytest.raises(RuntimeError, match=r"WebSocketMiddleware\(get_wsgi_application\(\)\)"):
        upgrade(EchoWebSocket)


def test_django_s_response_is_a_wsgi_application_too() -> None:
    importlib.import_module("tests.entrances.django_app")

    def view(environ: Any, start_response: Any) -> Any:
        return upgrade(EchoWebSocket)(environ, start_response)

    assert answer_in_process(WebSocketMiddleware(view), "/")[0] == 501


@pytest.mark.parametrize("handler", [None, "Chat", EchoWebSocket(), dict])
def test_upgrade_to_what_is_no_handler_is_an_error(handler: Any) -> None:
    with pytest.raises(TypeError, match="handler"):
        upgrade(handler)


# --- no framework, and others ---------------------------------------------------------------------------


def test_bare_view_upgrades_with_and_without_the_middleware() -> None:
    for name in ("wrapped", "naked"):
        with start("gunicorn-sync", f"tests.entrances.bare_app:{name}") as server:
            with open_socket(server, "/echo") as client:
                client.send("hello")
                assert client.recv(timeout=5) == "hello"
            assert server.http("/echo").status == 426
            assert server.http("/").body == b"home"
            assert "Traceback" not in server.log


def test_upgrade_needs_neither_flask_nor_django() -> None:
    code = (
        "import sys, ws4py_middleware as w\n"
        "w.upgrade(w.EchoWebSocket)\n"
        "assert not {'flask', 'django', 'webob'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT, timeout=30)


def test_other_library_beside_us_keeps_its_routes() -> None:
    with start("gunicorn-gthread", "tests.entrances.bare_app:mixed") as server:
        with open_socket(server, "/theirs") as client:
            client.send("hello")
            assert client.recv(timeout=5) == "theirs: hello"
        with open_socket(server, "/ours") as client:
            client.send("hello")
            assert client.recv(timeout=5) == "hello"
