"""What docs/howto/deploying.md shows, tried."""

from __future__ import annotations

import configparser
import runpy
import shlex
from typing import Any

from gunicorn.config import Config

from tests.docs.pages import CODE, read_page
from ws4py_middleware.process import get_manager
from ws4py_middleware.wsgi import WebSocketMiddleware

FOLDER = CODE / "deploying"
PAGE = read_page("howto/deploying")


def run(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / name))


def test_settings_are_those_of_the_routes() -> None:
    application = run("app.py")["app"].wsgi_app
    assert isinstance(application, WebSocketMiddleware)
    match = application.router.match("/echo")
    assert match is not None
    assert (match.policy.drain_window, match.policy.drain_grace) == (10, 5)


def test_hooks_have_the_names_and_arguments_of_gunicorns() -> None:
    names = run("gunicorn.conf.py")
    config = Config()
    for name in ("on_reload", "on_starting", "post_worker_init"):
        config.set(name, names[name])  # checks how many arguments it takes


def test_each_has_longer_than_what_is_in_it() -> None:
    """The application's drain, gunicorn's end, systemd's patience."""
    match = run("app.py")["app"].wsgi_app.router.match("/echo")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its manual says
    unit.read(FOLDER / "app.service")
    service = unit["Service"]
    drain = match.policy.drain_window + match.policy.drain_grace
    graceful = run("gunicorn.conf.py")["graceful_timeout"]
    assert drain + 1 < graceful < int(service["TimeoutStopSec"])
    assert str(service["TimeoutStopSec"]) in PAGE.split("docker stop --time ")[1][:4]
    words = shlex.split(service["ExecStart"])[1:]
    assert Config().parser().parse_args(words).config == "gunicorn.conf.py"


def test_drain_by_hand_refuses_until_it_is_taken_back() -> None:
    manager = get_manager()
    run("by_hand.py")
    assert manager.closing
    manager.closing = False
