"""The command line as a program in a pipe, and ``connect`` without one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import threading
from typing import Any, NamedTuple

from tests.cli.terminal import PROGRAM
from tests.servers import ROOT
from ws4py_middleware.cli.connect.client import Client
from ws4py_middleware.cli.connect.piped import Settings, talk


class Done(NamedTuple):
    """How a program has ended."""

    status: int
    out: bytes
    err: str = ""

    @property
    def lines(self) -> list[str]:
        """What it has written."""
        return self.out.decode().splitlines()


def run(*arguments: str, said: bytes = b"", **env: str) -> Done:
    """Run the program to its end."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        input=said,
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=30,
        env={**os.environ, "PYTHONWARNINGS": "error", **env},
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def connect(url: str, said: bytes = b"", settings: Settings | None = None, **arguments: Any) -> Done:
    """Do what ``connect`` does in a pipe, in this process: its input is a pipe, and its output a file."""
    reading, writing = os.pipe()
    feeder = threading.Thread(target=_feed, args=(writing, said))
    feeder.start()
    try:
        with tempfile.TemporaryFile() as file:
            chosen = Settings(linger=0.1) if settings is None else settings

            async def main() -> int:
                return await talk(Client(url, **arguments), chosen, stdin=reading, stdout=file.fileno())

            status = asyncio.run(main())
            file.seek(0)
            return Done(status, file.read())
    finally:
        os.close(reading)
        feeder.join()


def _feed(descriptor: int, data: bytes) -> None:
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
    except BrokenPipeError:  # nobody wanted to hear all of it
        return
