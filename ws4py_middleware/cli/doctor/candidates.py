"""The servers and worker classes that an application can be tried on: those that are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from .running import find_program

__all__ = ["list_commands"]

_GUNICORN = ("-m", "gunicorn")

#: Title, what has to be installed, and the words behind ``python``.
_WSGI: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("gunicorn -k sync", ("gunicorn",), (*_GUNICORN, "-k", "sync")),
    ("gunicorn -k gthread", ("gunicorn",), (*_GUNICORN, "-k", "gthread")),
    ("gunicorn -k gevent", ("gunicorn", "gevent"), (*_GUNICORN, "-k", "gevent")),
    ("waitress-serve", ("waitress",), ("-m", "waitress")),
    ("cheroot", ("cheroot",), ("-m", "cheroot")),
    ("ws4py-middleware serve", (), ("-m", "ws4py_middleware", "serve")),
]
_ASGI: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("uvicorn", ("uvicorn",), ("-m", "uvicorn")),
    ("hypercorn", ("hypercorn",), ("-m", "hypercorn")),
    ("daphne", ("daphne",), ("-m", "daphne")),
    ("granian", ("granian",), ("-m", "granian", "--interface", "asgi")),
    ("gunicorn -k asgi", ("gunicorn",), (*_GUNICORN, "-k", "asgi")),
]


def list_commands(app: str, *, asgi: bool) -> list[tuple[str, list[str]]]:
    """
    List the commands that serve an application, by what is installed.

    Args:
        app: ``"module:name"``, or ``"module:factory()"``.
        asgi: Whether it is an ASGI application.

    Returns:
        The title of each, and its words.
    """
    found = [
        (f"{title} {app}", [sys.executable, *words, app])
        for title, needed, words in (_ASGI if asgi else _WSGI)
        if all(find_spec(name) is not None for name in needed)
    ]
    if app.endswith(")"):
        # A factory: the others have other words for that, or none.
        return [(title, words) for title, words in found if {"gunicorn", "serve"} & {*words}]
    if not asgi and find_program("uwsgi") is not None:
        options = ["--master", "--threads", "2", "--hook-master-start"]
        ending = "unix_signal:15 gracefully_kill_them_all"
        words = ["uwsgi", "--http-socket", ":0", *options, ending, "--module", app]
        if sys.prefix != sys.base_prefix:
            words += ["--home", sys.prefix]
        found.append((f"uwsgi --http-socket {app}", words))
    return found
