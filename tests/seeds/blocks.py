"""Run a code block of the two documents that this package grew from."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.entrances.wire import ask, build
from tests.matrix.columns import connect, end_of
from tests.promises.wire import TEXT, close_frame, frame
from tests.servers import Server, start, wait_for


@contextlib.contextmanager
def serve(block: str, directory: Path) -> Iterator[Server]:
    """Run a block that serves; its port and its address are replaced, see ``tests/servers/seed.py``."""
    path = directory / "block.txt"
    path.write_text(block, encoding="utf-8")
    with start("seed", str(path), directory=directory) as server:
        yield server


class Script:
    """A block that runs and prints."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, timeout: float = 20.0) -> None:
        """Wait until a text was printed."""

        def is_there() -> bool:
            return text in self.output or self.process.poll() is not None

        wait_for(is_there, timeout, f"{text!r} in:\n{self.output}")
        assert text in self.output, self.output


@contextlib.contextmanager
def run(block: str, directory: Path) -> Iterator[Script]:
    """Run a block that does not serve; it is killed at the end, since such as these block for ever."""
    script, output = directory / "script.py", directory / "output.txt"
    script.write_text(block, encoding="utf-8")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", str(script)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Script(process, output)
    finally:
        process.kill()
        process.wait()


def check_echo(server: Server) -> None:
    """Check that a server echoes at every path, ends connections in order, and refuses others."""
    with (
        connect(server, "/", early=frame(TEXT, b"early")) as peer,
        connect(server, "/any/path") as second,
    ):
        assert peer.read_frame().payload == b"early"
        second.echo()
        peer.echo()
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""
    assert server.http("/").status == 426
    assert ask(server.connect(), build("/", {"Sec-WebSocket-Key": None})).status == 400
