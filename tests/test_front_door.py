"""The package root: friendly names, and nothing done before they are used."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

import ws4py_middleware
from ws4py_middleware import configure_logger, format_addresses

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The library's logger, put back afterwards."""
    logger = logging.getLogger("ws4py_middleware")
    before, level = list(logger.handlers), logger.level
    yield logger
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)


def run(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT, timeout=60)


def test_import_does_nothing() -> None:
    run(
        """
import logging, os, sys, threading
before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
import ws4py_middleware
loaded = {name.partition(".")[0] for name in sys.modules}
optional = {"gevent", "greenlet", "gunicorn", "cherrypy", "cheroot", "flask", "django", "werkzeug", "asgiref"}
assert not loaded & optional, loaded & optional
loaded = {n for n in sys.modules if n.startswith("ws4py_middleware.")}
assert loaded == {"ws4py_middleware._build", "ws4py_middleware._version"}
assert threading.active_count() == 1
assert not logging.getLogger().handlers
# Not even a NullHandler: under stock gunicorn it would keep a handler's exception from everybody.
assert not logging.getLogger("ws4py_middleware").handlers
assert before == (os.listdir("/proc/self/fd") if before else [])
"""
    )


def test_names_start_nothing_and_load_no_server_and_no_framework() -> None:
    run(
        """
import sys, threading
import ws4py_middleware
from ws4py_middleware import *
WebSocketMiddleware(lambda environ, start_response: [], {"/": EchoWebSocket})
loaded = {name.partition(".")[0] for name in sys.modules}
optional = {"gevent", "greenlet", "gunicorn", "cherrypy", "cheroot", "flask", "django", "tornado", "OpenSSL"}
assert not loaded & optional, loaded & optional
assert threading.active_count() == 1
"""
    )


def test_all_names_are_there_and_in_dir() -> None:
    for name in ws4py_middleware.__all__:
        assert getattr(ws4py_middleware, name) is not None
    assert set(ws4py_middleware.__all__) <= set(dir(ws4py_middleware))
    assert sorted(dir(ws4py_middleware)) == dir(ws4py_middleware)
    assert ws4py_middleware.WS_KEY == b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    assert ws4py_middleware.WS_VERSION == (8, 13)


def test_dir_is_complete_before_anything_is_used() -> None:
    run("import ws4py_middleware as w; assert set(w.__all__) <= set(dir(w))")


def test_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ws4py_middleware' has no attribute 'WebSockets'"):
        _ = ws4py_middleware.WebSockets


def test_logger_is_configured_once_however_often_it_is_asked_for(
    logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(logger.handlers)
    path = tmp_path / "ws.log"
    for _ in range(3):
        assert configure_logger(filepath=str(path)) is logger
    assert len(logger.handlers) == before + 2
    logger.info("hello %s", "you")
    logger.debug("not this")
    out = capsys.readouterr().out
    assert out.count("INFO hello you\n") == 1
    assert out.startswith("[")
    assert path.read_text().count("INFO hello you\n") == 1
    files = [handler for handler in logger.handlers if isinstance(handler, RotatingFileHandler)]
    assert [(each.maxBytes, each.backupCount) for each in files] == [(10 * 1024 * 1024, 3)]


def test_logger_may_be_configured_again_with_another_level_and_file(
    logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logger(stdout=False, filepath=str(tmp_path / "a.log"))
    configure_logger(stdout=False, filepath=str(tmp_path / "b.log"), level=logging.DEBUG)
    logger.debug("details")
    assert capsys.readouterr().out == ""
    for name in ("a.log", "b.log"):
        assert (tmp_path / name).read_text().endswith("DEBUG details\n")


def test_logger_with_one_s_own_handlers_keeps_them(logger: logging.Logger) -> None:
    own = logging.StreamHandler()
    logger.addHandler(own)
    configure_logger(level=logging.ERROR)
    assert own in logger.handlers
    assert own.level == logging.NOTSET
    assert own.formatter is None


def test_addresses_are_shown_as_ws4py_did() -> None:
    ws = SimpleNamespace(local_address=("127.0.0.1", 80), peer_address=("10.0.0.7", 51000))
    assert format_addresses(ws) == "[Local => 127.0.0.1:80 | Remote => 10.0.0.7:51000]"
    ws = SimpleNamespace(local_address="/run/app.sock", peer_address="")
    assert format_addresses(ws) == "[Bound to '/run/app.sock']"
