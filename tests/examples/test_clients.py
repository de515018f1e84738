"""examples/echo_client and examples/gevent_echo_client do what their READMEs show."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers import ROOT, free_port, start, wait_for


def run(name: str, *options: str, said: str = "") -> tuple[int, list[str], str]:
    """Run an example to its end; return its status, its lines, and its complaints."""
    done = subprocess.run(
        command(name, options), input=said, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def command(name: str, options: Sequence[str]) -> list[str]:
    path = ROOT / "examples" / name / "app.py"
    return [sys.executable, "-X", "utf8", "-W", "error", str(path), *options]


def test_echo_client_says_what_is_typed_and_shows_what_comes(tmp_path: Path) -> None:
    with start("script", "examples/wsgiref_echo/app.py") as server:
        url = f"{server.ws_url}/echo"
        status, lines, errors = run("echo_client", url, said="hello\nGrüße\n")
        assert (status, lines, errors) == (0, ["< hello", "< Grüße", "closed: 1000 "], "")

        output = tmp_path / "output.txt"
        with output.open("wb") as file:
            client = subprocess.Popen(command("echo_client", [url]), stdin=subprocess.PIPE, stdout=file)
        assert client.stdin is not None
        with client.stdin as keyboard:
            keyboard.write(b"x\n")
            keyboard.flush()
            wait_for(lambda: output.read_text() == "< x\n")
            client.send_signal(signal.SIGINT)
            assert client.wait(10) == 0
        assert output.read_text() == "< x\nclosed: 1000 \n"

        status, lines, errors = run("echo_client", f"{server.ws_url}/nowhere")
        assert (status, lines) == (1, [])
        assert errors.startswith(f"{server.ws_url}/nowhere: the server answered with ")
    status, lines, errors = run("echo_client", f"ws://127.0.0.1:{free_port()}/")
    assert (status, lines) == (1, [])
    assert "Connection refused" in errors
    assert "Traceback" not in errors


def test_gevent_echo_client_has_all_its_messages_back() -> None:
    with start("script", "examples/gevent_echo/app.py") as server:
        url = f"{server.ws_url}/echo"
        status, lines, errors = run("gevent_echo_client", url, "--clients", "50", "--messages", "20")
        assert (status, errors) == (0, "")
        assert re.fullmatch(r"50 clients: 1000 messages came back in \d+\.\d\d s", "\n".join(lines))
    status, lines, errors = run("gevent_echo_client", f"ws://127.0.0.1:{free_port()}/")
    assert (status, lines) == (1, [])
    assert "Connection refused" in errors
    assert "Traceback" not in errors
