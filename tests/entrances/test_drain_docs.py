"""What docs/howto/deploying.md shows, tried."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.servers import ROOT
from ws4py_middleware.process import get_manager
from ws4py_middleware.wsgi import WebSocketMiddleware

SNIPPETS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "howto" / "deploying.md").read_text(), re.DOTALL
)


def run(word: str) -> dict[str, Any]:
    (snippet,) = [text for text in SNIPPETS if word in text]
    names: dict[str, Any] = {"site": lambda environ, start_response: []}
    exec(snippet, names)
    return names


def test_settings_are_those_of_the_routes() -> None:
    application = run("drain_window=10")["application"]
    assert isinstance(application, WebSocketMiddleware)
    match = application.router.match("/echo")
    assert match is not None
    assert (match.policy.drain_window, match.policy.drain_grace) == (10, 5)


def test_hooks_have_the_names_and_arguments_of_gunicorns() -> None:
    from gunicorn.config import Config

    names = run("on_starting")
    config = Config()
    for name in ("on_reload", "on_starting", "post_worker_init"):
        config.set(name, names[name])  # checks how many arguments it takes


def test_drain_by_hand_refuses_until_it_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = get_manager()
    run("get_manager().drain")
    assert manager.closing
    manager.closing = False
