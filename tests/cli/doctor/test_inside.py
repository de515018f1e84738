"""What an application object says of itself, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import CODE
from ws4py_middleware.cli.doctor.running import look_inside

_FLASK = """
from flask import Flask
from ws4py_middleware import EchoWebSocket
from ws4py_middleware.config.flask import WebSockets

def create_app(interval=5):
    app = Flask(__name__)
    app.config["WEBSOCKETS"] = {"/live": {"handler": EchoWebSocket, "ping_interval": interval}}
    WebSockets(app)
    return app
"""

_DJANGO = """
SECRET_KEY = "-"
USE_TZ = True
WSGI_APPLICATION = "project.application"
WEBSOCKETS = {"/live": "ws4py_middleware:EchoWebSocket"}
"""

_PROJECT = """
from ws4py_middleware.config.django import get_wsgi_application
application = get_wsgi_application()
"""

_GEVENT = """
import gevent.monkey
gevent.monkey.patch_all()
from ws4py_middleware.hub.default import set_hub
from ws4py_middleware.hub.rooms import Hub

class Nowhere:
    "A backplane that is never started."

set_hub(Hub(Nowhere()))
print("all applications say something")

def app(environ, start_response): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {
        "shop": _FLASK,
        "config": _DJANGO,
        "project": _PROJECT,
        "patched": _GEVENT,
        "leaving": "import sys; sys.exit(3)",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "spec",
    ["flask:shop", "object:shop:create_app(interval=5)", "django:config", "file:{folder}/shop.py:create_app"],
)
def test_look_inside_of_frameworks(spec: str, folder: Path) -> None:
    with look_inside(spec.format(folder=folder), [str(folder)]) as inspection:
        facts = inspection.result()
    assert facts.problem == ""
    if spec.startswith("file:"):
        assert facts.routes == []  # a factory, which nobody has called
        return
    [route] = facts.routes
    assert (route.path, route.sample, route.handler) == (
        "/live",
        "/live",
        "ws4py_middleware.websocket:EchoWebSocket",
    )
    assert route.ping_interval == (20 if "config" in spec else 5)
    assert (facts.asgi, facts.manager, facts.patched, facts.backplane) == (False, False, False, False)


def test_look_inside_of_a_program_finds_its_application(folder: Path) -> None:
    for name in ("app", "application", "other"):
        (folder / "program.py").write_text(f"from shop import create_app\n{name} = create_app()\n")
        with look_inside(f"script:{folder}/program.py", []) as inspection:
            routes = inspection.result().routes
        assert [route.path for route in routes] == ([] if name == "other" else ["/live"])
    with look_inside(f"script:{CODE}/cherrypy/app.py", []) as inspection:
        assert [route.path for route in inspection.result().routes] == ["/chat"]


def test_look_inside_sees_what_the_import_has_done(folder: Path) -> None:
    with look_inside("object:patched:app", [str(folder)]) as inspection:
        facts = inspection.result()
    assert (facts.patched, facts.backplane, facts.routes) == (True, True, [])


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("object:nothing:app", "no module 'nothing'"),
        ("object:shop:app", "has no 'app'"),
        ("object:leaving:app", "SystemExit: 3"),
    ],
)
def test_look_inside_says_why_it_cannot_be_imported(spec: str, says: str, folder: Path) -> None:
    with look_inside(spec, [str(folder)]) as inspection:
        assert says in inspection.result().problem
