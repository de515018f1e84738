"""The servers of these tests: ours and theirs, each started for the first test that needs it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.interop.foreign.node import FOLDER, find_node
from tests.interop.foreign.talker import FIN_ONLY
from tests.servers import ROOT, start


class Ours(NamedTuple):
    """A server that our handlers run on."""

    title: str
    kind: str
    app: str
    #: Options without compression and with it, where that is the server's business.
    options: Mapping[str, tuple[str, ...]] | None = None
    #: What cannot be had on it (see :data:`.cases.THINGS`) → why.
    lacks: Mapping[str, str] = {}


_UVICORN = ("--ws-max-size", str(32 * 2**20))

OURS = {
    "gunicorn-gthread": Ours("gunicorn gthread", "gunicorn-gthread", "tests.interop.wsgi_app:app"),
    "gunicorn-gevent": Ours("gunicorn gevent", "gunicorn-gevent", "tests.interop.wsgi_app:app"),
    "cherrypy": Ours("CherryPy", "cherrypy", "tests.interop.cherrypy_app:app"),
    "uvicorn": Ours(
        "uvicorn",
        "uvicorn-websockets-sansio",
        "tests.interop.asgi_app:app",
        {
            "plain": (*_UVICORN, "--ws-per-message-deflate", "false"),
            "deflate": (*_UVICORN, "--ws-per-message-deflate", "true"),
        },
        {
            "fragments received": "In ASGI an application sends whole messages.",
            "pings received": "In ASGI an application sends no pings; its server may.",
            "being closed without a code": "In ASGI there always is one.",
            "close answered": "In ASGI an application is not told.",
        },
    ),
}


class Theirs(NamedTuple):
    """A server of somebody else."""

    title: str
    make_command: Callable[[], list[str]]
    lacks: Mapping[str, str] = {}
    #: The close code with which it answers every Close frame; ``None``: the one that it was told.
    answers: int | None = None


def _build_python_command(name: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-W", "error", "-m", f"tests.interop.foreign.{name}_server"]


THEIRS = {
    "websockets-asyncio": Theirs("websockets (asyncio)", _build_python_command("websockets_asyncio")),
    "websockets-sync": Theirs("websockets (threads)", _build_python_command("websockets_sync")),
    "aiohttp": Theirs(
        "aiohttp",
        _build_python_command("aiohttp"),
        {"fragments received": FIN_ONLY, "being closed without a code": "It always sends one."},
        answers=1000,
    ),
    "tornado": Theirs(
        "tornado",
        _build_python_command("tornado"),
        {
            "fragments received": FIN_ONLY,
            "ping between fragments, compressed": (
                "It does not decompress a message in which a ping comes:"
                " [tornado#3353](https://github.com/tornadoweb/tornado/pull/3353)."
            ),
        },
    ),
    "node-ws": Theirs("ws (Node)", lambda: [*find_node(), str(FOLDER / "server.js")]),
}


class Serving:
    """What runs, until the last test."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._urls: dict[tuple[str, str], str] = {}
        self._theirs: dict[str, Mapping[str, str]] = {}

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def get_our_url(self, name: str, path: str) -> str:
        """Return the URL of one of our handlers."""
        ours = OURS[name]
        mode = "plain" if ours.options is None or path == "plain" else "deflate"
        if (name, mode) not in self._urls:
            options = () if ours.options is None else ours.options[mode]
            server = self._stack.enter_context(start(ours.kind, ours.app, options=options))
            self._urls[name, mode] = server.ws_url
        return f"{self._urls[name, mode]}/{path}"

    def get_their_url(self, name: str, mode: str) -> str:
        """Return the URL of a foreign server, with or without compression."""
        if name not in self._theirs:
            self._theirs[name] = self._start(THEIRS[name])
        return self._theirs[name][mode]

    def _start(self, theirs: Theirs) -> Mapping[str, str]:
        process = subprocess.Popen(
            theirs.make_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.wait, 10)
        self._stack.callback(process.stdin.close)
        line = process.stdout.readline()
        assert line, f"the server of {theirs.title} has ended at once"
        urls: Mapping[str, str] = json.loads(line)
        return urls
