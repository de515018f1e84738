"""The servers that an application is tried on."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

from ws4py_middleware.cli.doctor import candidates
from ws4py_middleware.cli.doctor.candidates import list_commands


def titles(app: str, *, asgi: bool) -> list[str]:
    return [title.removesuffix(f" {app}") for title, _ in list_commands(app, asgi=asgi)]


def test_list_commands_by_what_the_application_is() -> None:
    wsgi = ["gunicorn -k sync", "gunicorn -k gthread", "gunicorn -k gevent", "waitress-serve", "cheroot"]
    assert titles("shop:app", asgi=False) == [*wsgi, "ws4py-middleware serve", "uwsgi --http-socket"]
    servers = ["uvicorn", "hypercorn", "daphne", "granian", "gunicorn -k asgi"]
    assert titles("shop:app", asgi=True) == servers


def test_list_commands_leaves_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def find(name: str) -> Any:
        return None if name in ("gevent", "waitress", "cheroot") else real(name)

    monkeypatch.setattr(candidates, "find_spec", find)
    monkeypatch.setattr(candidates, "find_program", lambda name: None)
    found = ["gunicorn -k sync", "gunicorn -k gthread", "ws4py-middleware serve"]
    assert titles("shop:app", asgi=False) == found


def test_list_commands_of_a_factory_are_those_that_call_it() -> None:
    assert titles("shop:make()", asgi=True) == ["gunicorn -k asgi"]
    workers = ["gunicorn -k sync", "gunicorn -k gthread", "gunicorn -k gevent"]
    assert titles("shop:make('blue')", asgi=False) == [*workers, "ws4py-middleware serve"]
    [words] = [words for _, words in list_commands("shop:make()", asgi=True)]
    assert words == [sys.executable, "-m", "gunicorn", "-k", "asgi", "shop:make()"]
