"""docs/howto/gunicorn.md: its application on each worker that it names, its settings, its commands."""

from __future__ import annotations

import os
import re
import runpy
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from gunicorn.config import KNOWN_SETTINGS, Config
from websockets.sync.client import connect

from tests.docs.pages import CODE, read_commands, read_page, read_table
from tests.servers import ROOT, start, wait_for
from ws4py_middleware import endings

PAGE = read_page("howto/gunicorn")
APP = "docs.code.gunicorn.app:app"
CONF = CODE / "gunicorn" / "gunicorn.conf.py"
COMMANDS = read_commands(PAGE, "gunicorn")


def test_commands_are_ones_and_have_every_worker_of_the_table() -> None:
    workers = set()
    for words in COMMANDS:
        config = Config()
        options = vars(config.parser().parse_args(words))
        assert options.pop("args") == ["app:app"]
        for name, value in options.items():
            if value is not None:
                config.set(name, value)
        workers.add(config.settings["worker_class"].get())
    named = re.findall(r"^\| (`[^|]*) \|", PAGE.split("| | HTTP |", 1)[1].split("\n\n", 1)[0], re.MULTILINE)
    assert workers <= {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert workers == {"sync", "gthread", "gevent"}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_commands_of_all_pages_are_ones(page: Path) -> None:
    for words in read_commands(page.read_text(encoding="utf-8"), "gunicorn"):
        config = Config()
        for name, value in vars(config.parser().parse_args(words)).items():
            if value is not None and name in config.settings:
                config.set(name, value)


def test_settings_of_the_page_are_gunicorns() -> None:
    known = {setting.name for setting in KNOWN_SETTINGS}
    for names, *_ in read_table(PAGE, "setting"):
        for name in re.findall(r"`(\w+)\*?`", names):
            assert any(each.startswith(name) for each in known), name


def test_file_of_the_page_has_settings_and_hooks_that_gunicorn_takes() -> None:
    config = Config()
    for name, value in runpy.run_path(str(CONF)).items():
        if name in config.settings:
            config.set(name, value)  # checks values, and how many arguments a hook takes
    for hook in ("on_reload", "on_starting", "post_worker_init"):
        assert config.settings[hook].get() is getattr(endings, hook)
    assert config.settings["graceful_timeout"].get() > 10 + 5  # what the application says of its drain


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_application_holds_more_websockets_than_the_worker_has_threads_or_places(
    worker: str, tmp_path: Path
) -> None:
    pid_file = tmp_path / "gunicorn.pid"
    options = ["--config", str(CONF), "--pid", str(pid_file), "--worker-connections", "2"]
    with start(f"gunicorn-{worker}", APP, options=options, directory=tmp_path) as server:
        with ExitStack() as stack:
            url = server.ws_url + "/chat"
            members = [stack.enter_context(connect(url, proxy=None)) for _ in range(5)]
            for member in members:  # each hears itself, and so all are there
                member.send("here")
                assert member.recv(timeout=5) == "here"
            members[0].send("hello")
            for member in members:
                while member.recv(timeout=5) != "hello":
                    pass
            assert server.http("/").status == 404
        worker_pid = server.pid
        os.kill(int(pid_file.read_text()), signal.SIGHUP)
        wait_for(lambda: not Path(f"/proc/{worker_pid}").exists(), 10, "the end of the old worker")
        assert server.http("/").status == 404
        assert "Traceback" not in server.log
