"""The environ that a handler keeps."""

from __future__ import annotations

import io
import os
import sys
from wsgiref.util import setup_testing_defaults

import pytest

from ws4py_middleware.handover import clean_environ, environs


def test_environ_keeps_the_request_and_what_middleware_added() -> None:
    session = {"user": "ada"}
    environ = {
        "HTTP_COOKIE": "a=b",
        "PATH_INFO": "/chat",
        "example.session": session,
        "wsgi.url_scheme": "https",
    }
    clean = clean_environ(environ)
    assert {key: clean[key] for key in environ} == environ
    assert clean["example.session"] is session


def test_environ_drops_what_is_the_servers() -> None:
    environ: dict[str, object] = {}
    setup_testing_defaults(environ)
    for key in ("gunicorn.socket", "werkzeug.socket", "werkzeug.request", "wsgi.file_wrapper"):
        environ[key] = object()
    before = dict(environ)
    clean = clean_environ(environ)
    assert environ == before
    assert not {"gunicorn.socket", "werkzeug.socket", "werkzeug.request", "wsgi.file_wrapper"} & clean.keys()
    assert clean["wsgi.errors"] is sys.stderr


def test_environ_drops_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("HTTP_X_TOKEN", "the client's own")
    clean = clean_environ({**os.environ, "REMOTE_ADDR": "::1", "SECRET_OF_APP": "kept"})
    assert "DATABASE_PASSWORD" not in clean
    assert clean["SECRET_OF_APP"] == "kept"
    assert clean["HTTP_X_TOKEN"] == "the client's own"


def test_input_is_empty_for_ever_and_for_everybody() -> None:
    clean, other = clean_environ({"wsgi.input": io.BytesIO(b"body")}), clean_environ({})
    body = clean["wsgi.input"]
    assert body is other["wsgi.input"]
    body.close()
    assert body.readable()
    assert body.read() == body.read(10) == body.readline() == b""
    assert body.readlines() == list(body) == []


def test_common_strings_are_shared() -> None:
    # As a parser makes them: equal, and not the same object.
    name, value = b"HTTP_UPGRADE".decode(), b"websocket".decode()
    one, two = clean_environ({name: value}), clean_environ({"HTTP_UPGRADE": "websocket"})
    assert next(iter(one)) is next(iter(two)) is not name
    assert one["HTTP_UPGRADE"] is two["HTTP_UPGRADE"]


def test_values_that_many_clients_send_are_kept_once_and_few_of_them() -> None:
    def clean(agent: str, key: str = "HTTP_USER_AGENT") -> str:
        kept = clean_environ({key: agent})[key]
        assert kept == agent
        return str(kept)

    def make(number: int, size: int = 0) -> str:
        return f"Browser/{number} ".ljust(size, "x")

    assert clean(make(1)) is clean(make(1))
    assert clean(make(1, 500)) is clean(make(1, 500))
    # What is each client's own, and what is long, is not kept for others.
    assert clean(make(1), "HTTP_COOKIE") is not clean(make(1), "HTTP_COOKIE")
    assert clean(make(1, 600)) is not clean(make(1, 600))
    for number in range(2000):
        clean(make(number))
        assert len(environs._values) <= 512
