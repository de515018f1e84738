"""examples/asyncio_client talks to the example server, and says what is wrong with one that is not there."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.servers import ROOT, free_port, start


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "examples/asyncio_client/app.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def test_every_message_is_answered_to_every_client() -> None:
    with start("script", "examples/asyncio_echo/app.py") as server:
        done = run(server.ws_url, "--clients", "200", "--messages", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"1000 answers to 200 clients in [\d.]+ s\nmedian [\d.]+ ms, slowest [\d.]+ ms\n", done.stdout
    )


def test_a_server_that_is_not_there_is_one_line() -> None:
    url = f"ws://127.0.0.1:{free_port()}/"
    done = run(url, "--clients", "3")
    assert done.returncode == 1
    assert re.fullmatch(rf"{url}: .*Connection refused\n", done.stderr)
