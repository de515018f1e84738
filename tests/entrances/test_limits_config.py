"""The settings of limits and admission in configurations: TOML, and CherryPy's."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.entrances.config_handlers import Chat, is_member
from tests.entrances.in_process import site
from tests.servers import ROOT
from ws4py_middleware import Rate
from ws4py_middleware.config import ConfigError, websockets_from_config
from ws4py_middleware.server.cherrypysettings import read_settings

HANDLERS = "tests.entrances.config_handlers"

WHOLE = f"""
[defaults]
trusted_proxies = 1
handshake_rate = "30/min"
max_connections_per_address = 20

[routes."/chat/<room>"]
handler = "{HANDLERS}:Chat"
max_connections_per_key = 5
connection_key = "{HANDLERS}:is_member"
message_rate = {{ rate = "50/s", burst = 200 }}
byte_rate = "1 MiB/s"
max_lifetime = "1 h"
reauthorize = "{HANDLERS}:is_member"
"""

SETTINGS = {
    "trusted_proxies": 1,
    "handshake_rate": Rate(30.0, 60.0),
    "max_connections_per_address": 20,
    "max_connections_per_key": 5,
    "connection_key": is_member,
    "message_rate": Rate(50.0, 1.0, 200),
    "byte_rate": Rate(1024.0**2, 1.0),
    "max_lifetime": 3600.0,
    "reauthorize": is_member,
}


def test_file_says_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "ws4py_middleware.toml"
    path.write_text(WHOLE)
    match = websockets_from_config(site, path).router.match("/chat/lobby")
    assert match is not None
    assert match.handler is Chat
    assert {name: getattr(match.policy, name) for name in SETTINGS} == SETTINGS


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f'reauthorize = "{HANDLERS}:is_membr"', "has no 'is_membr'; did you mean 'is_member'?"),
        ('connection_key = "is_member"', "in a file one such as"),
        ("max_connections_per_key = 5", "there is no connection_key, which says whom"),
        ('message_rate = "50/fortnight"', "there is no unit 'fortnight'"),
        ("trusted_proxies = true", "it is a whole number"),
    ],
)
def test_what_is_wrong_is_said_at_start(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "ws4py_middleware.toml"
    path.write_text(f'[routes."/small"]\nhandler = "{HANDLERS}:Small"\n{line}\n')
    with pytest.raises(ConfigError) as info:
        websockets_from_config(site, path)
    assert problem in str(info.value)
    assert info.value.line in (1, 3)


def test_cherrypy_says_them_too() -> None:
    texts: dict[str, Any] = {
        **SETTINGS,
        "handshake_rate": "30/min",
        "connection_key": f"{HANDLERS}:is_member",
        "reauthorize": f"{HANDLERS}:is_member",
        "max_lifetime": "1 h",
    }
    policy = read_settings(texts).policy
    assert {name: getattr(policy, name) for name in SETTINGS} == SETTINGS
    with pytest.raises(ConfigError, match="there is no connection_key"):
        read_settings({"max_connections_per_key": 5})
    with pytest.raises(ConfigError, match=re.escape("tools.websocket.reauthorize")):
        read_settings({"reauthorize": f"{HANDLERS}:is_membr"})


def test_code_of_the_security_page_runs() -> None:
    limits = run_page("limits")["app"].wsgi_app.policy
    assert limits.max_message_size == 64 * 1024
    assert limits.origins == ["https://example.com"]
    policy = run_page("connections")["app"].wsgi_app.policy
    assert policy.handshake_rate == Rate(30, per=60)
    assert policy.connection_key({"user_id": "ann"}) == "ann"
    lifetime = run_page("lifetime")
    assert lifetime["Chat"].policy.max_lifetime == 3600
    for who, goes_on in (("ann", True), ("bob", False)):
        assert lifetime["Chat"](environ={"user_id": who}).reauthorize() is goes_on


def run_page(name: str) -> dict[str, Any]:
    """Run a file of docs/topics/security.md."""
    return runpy.run_path(str(ROOT / "docs" / "code" / "security" / f"{name}.py"))
