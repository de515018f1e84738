"""Who is measured: this library under the servers it is made for, and every other one in its usual set-up."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import build
from benchmarks.servers import APPS, ROOT, Server, gunicorn

__all__ = ["BASE", "LIMIT", "SERVERS", "WEBSOCKETS"]

#: Where ``scripts/test all`` puts what Node needs.
NODE_MODULES = ROOT / "tests" / "interop" / "node" / "node_modules"


def _script(app: str, *options: str) -> Callable[[int, int], list[str]]:
    return lambda port, connections: [sys.executable, "-m", f"benchmarks.apps.{app}", str(port), *options]


def _uvicorn(app: str, *options: str) -> Callable[[int, int], list[str]]:
    base = [sys.executable, "-m", "uvicorn", f"benchmarks.apps.{app}:app", "--log-level", "warning", *options]
    return lambda port, connections: [*base, "--backlog", "4096", "--port", str(port)]


def _node(port: int, connections: int) -> list[str]:
    return [shutil.which("node") or "node", str(APPS / "node_ws.js"), str(port)]


def _missing_node() -> list[str]:
    absent = [] if shutil.which("node") else ["node"]
    return absent if (NODE_MODULES / "ws").is_dir() else [*absent, f"ws in {_below(NODE_MODULES)}"]


def _below(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _uwebsockets(port: int, connections: int) -> list[str]:
    found = importlib.util.find_spec("socketify")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent
    library = folder / "libsocketify_linux_amd64.so"
    return [str(build("uwsecho", str(library), f"-Wl,-rpath,{folder}")), str(port)]


_OURS = ("gunicorn", "werkzeug")
_UVICORN = ("uvicorn", "uvloop", "httptools", "websockets")
OURS = [
    Server(
        "ours-sync",
        "**ours**, gunicorn sync",
        gunicorn("ours", "sync"),
        _OURS,
        forks=True,
        sleeps=True,
        deflate=True,
        many=True,
    ),
    Server(
        "ours-gthread",
        "**ours**, gunicorn gthread, 2 threads",
        gunicorn("ours", "gthread", "--threads", "2"),
        _OURS,
        forks=True,
        sleeps=True,
        deflate=True,
        many=True,
    ),
    Server(
        "ours-gthread-pure",
        "**ours**, gunicorn gthread, pure Python",
        gunicorn("ours", "gthread", "--threads", "2"),
        _OURS,
        forks=True,
        deflate=True,
        environ={"WS4PY_MIDDLEWARE_PURE": "1"},
    ),
    Server(
        "ours-inline",
        "**ours**, gunicorn sync, nothing handed on",
        gunicorn("ours_inline", "sync"),
        _OURS,
        forks=True,
        sleeps=True,
        compared=False,
    ),
    Server(
        "ours-gevent",
        "**ours**, gunicorn gevent",
        gunicorn("ours", "gevent"),
        (*_OURS, "gevent"),
        forks=True,
        sleeps=True,
        deflate=True,
        many=True,
    ),
    Server("ours-cherrypy", "**ours**, CherryPy", _script("ours_cherrypy"), ("cherrypy",), deflate=True),
    Server("ours-asgi", "**ours**, ASGI, uvicorn", _uvicorn("ours_asgi"), _UVICORN, deflate=True),
]
LIMIT = Server(
    "c",
    "C epoll echo (the limit)",
    lambda port, n: [str(build("rawecho")), str(port)],
    http=False,
    python=False,
    json=False,
    many=True,
)
#: What compression is compared with, and what an ASGI application is.
WEBSOCKETS = Server(
    "websockets",
    "websockets, asyncio",
    _script("websockets_asyncio"),
    ("websockets",),
    deflate=True,
)
BASE = Server("uvicorn", "uvicorn, a raw ASGI application", _uvicorn("raw_asgi"), _UVICORN, deflate=True)
SERVERS = [
    LIMIT,
    *OURS,
    Server(
        "uwebsockets",
        "uWebSockets (C++), without Python",
        _uwebsockets,
        ("socketify",),
        deflate=True,
        python=False,
        json=False,
    ),
    Server(
        "socketify",
        "socketify (uWebSockets), handlers in Python",
        _script("socketify_server"),
        ("socketify",),
        deflate=True,
    ),
    Server("picows", "picows, uvloop", _script("picows_server"), ("picows", "uvloop")),
    Server("aiohttp", "aiohttp, uvloop", _script("aiohttp_server"), ("aiohttp", "uvloop"), deflate=True),
    WEBSOCKETS,
    Server(
        "websockets-uvloop",
        "websockets, uvloop",
        _script("websockets_asyncio", "uvloop"),
        ("websockets", "uvloop"),
        deflate=True,
    ),
    Server(
        "websockets-threads",
        "websockets, threads",
        _script("websockets_threads"),
        ("websockets",),
        deflate=True,
    ),
    BASE,
    Server(
        "uvicorn-wsproto",
        "uvicorn with wsproto, the same",
        _uvicorn("raw_asgi", "--ws", "wsproto"),
        (*_UVICORN, "wsproto"),
        variant=True,
    ),
    Server("tornado", "tornado", _script("tornado_server"), ("tornado",), deflate=True),
    Server(
        "node-ws",
        "Node's ws",
        _node,
        absent=_missing_node,
        deflate=True,
        python=False,
        environ={"NODE_PATH": str(NODE_MODULES)},
    ),
    Server(
        "flask-sock",
        "flask-sock (simple-websocket), gunicorn gthread, a thread for each",
        gunicorn("flasksock", "gthread", "--threads", "{threads}"),
        ("flask-sock", "gunicorn"),
        forks=True,
        sleeps=True,
    ),
    Server(
        "gevent-websocket",
        "gevent-websocket, its gunicorn worker",
        gunicorn("geventws", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"),
        ("gevent-websocket", "gunicorn"),
        forks=True,
    ),
    Server("ws4py", "ws4py, wsgiref", _script("ws4py_wsgiref"), ("ws4py",)),
    Server(
        "ws4py-cherrypy", "ws4py, CherryPy", _script("ws4py_cherrypy"), ("ws4py", "cherrypy"), variant=True
    ),
]
