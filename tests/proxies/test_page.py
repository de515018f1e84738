"""What the documentation says beside the configurations: commands, and what a missing line does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import websocket

from tests.docs.pages import CODE, read_commands, read_page, read_table
from tests.proxies.conftest import Backend
from tests.proxies.programs import KINDS, PROGRAMS, start_proxy
from tests.proxies.visits import visit
from tests.servers import ROOT

pytestmark = pytest.mark.proxies

PAGE = read_page("howto/proxies")
#: Its rows: status, what our answer says, the proxy, the line.
ROWS = read_table(PAGE, "status")


@pytest.mark.parametrize(("status", "says", "kind", "line"), ROWS)
def test_line_is_missed(
    status: str, says: str, kind: str, line: str, backends: Callable[[str], Backend]
) -> None:
    program = PROGRAMS[kind.lower()]
    changes = {line.strip("`"): "", **program.at_port(backends(program.app).port)}
    with start_proxy(kind.lower(), changes) as proxy:
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            visit(proxy, "/echo")
    assert caught.value.status_code == int(status)
    assert says.strip("`").encode() in (caught.value.resp_body or b"")


@pytest.mark.parametrize("words", read_commands(PAGE, "gunicorn"), ids=" ".join)
def test_command_is_understood(words: list[str]) -> None:
    command = [sys.executable, "-m", "gunicorn", "--check-config", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=CODE / "proxies", env=environment, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_page_shows_configuration_and_unix_socket(kind: str) -> None:
    program = PROGRAMS[kind]
    assert f"{{literalinclude}} ../code/proxies/{program.file}\n" in PAGE
    assert program.unix[1].format(path="/run/app/gunicorn.sock") in PAGE.replace("\\|", "|")
