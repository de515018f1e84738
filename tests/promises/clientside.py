"""
Clients in a process of their own, and the instruments to see what a hostile server did to it.

The servers are in the test's process; so all that grows, leaks or is logged over there is the clients'.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.clients import TABLE, Kind
from tests.core.wire import CLOSE, build_frame
from tests.entrances.scripted import Visit, scripted, text
from tests.promises.attacker import Memory, report, set_baseline
from tests.servers import ROOT, certificates, server_context, wait_for

#: Beyond what was allowed: the machine may be busy.
SLACK = 5.0


@dataclass
class Job:
    """What a client is to do: connect, and read."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Seconds to wait before it reads.
    hold: float = 0.0
    #: Whether to begin the closing handshake.
    close: bool = False
    #: How many messages to read, and then be gone; by default all of them.
    take: int | None = None


@dataclass
class Outcome:
    """What came of it."""

    number: int
    #: What ``connect()`` has raised: the names of the class and its bases, and more of it.
    error: tuple[str, ...] = ()
    message: str = ""
    status: int | None = None
    body: int = 0
    #: How long ``connect()`` took if it failed, or to read until the end.
    seconds: float = 0.0
    #: Sizes of the messages that came.
    sizes: tuple[int, ...] = ()
    #: What ``closed()`` was told.
    code: int | None = None
    reason: str | None = None
    #: The hooks that were called: "opened", and (code, reason) for ``closed()``.
    told: tuple[Any, ...] = ()
    #: Anything else that was raised.
    bug: str | None = None

    def check(self, kind: Kind) -> None:
        """See that the client failed in one of the ways that are documented."""
        assert self.bug is None, self.bug
        if self.error:
            assert self.error[0] == "HandshakeError" or "OSError" in self.error, self
            assert self.told == () or (kind.tells_failure and self.told == ([1006, self.message],)), self
            assert self.message, "the error says nothing"
        elif self.code is not None:
            assert self.told == ("opened", [self.code, self.reason]), self


class ClientProcess:
    """A process with clients of one kind; see ``clients_app``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._log = tempfile.NamedTemporaryFile(prefix="clients-")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-W", "default", "-m", "tests.promises.clients_app", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            # Else the allocator keeps something for each thread that has ever had a client.
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
            text=True,
        )
        self.pid = self._process.pid
        self._number = 0
        self._idle = (0, 0)

    # --- what is asked of it -------------------------------------------------------------------

    def ask(self, job: Job) -> Outcome:
        """Let one client do something, and return what came of it."""
        return self.ask_all([job])[0]

    def ask_all(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Let clients do something, some of them at the same time; see that each ends as it may."""
        stdin, stdout = self._pipe(self._process.stdin), self._pipe(self._process.stdout)
        first = self._number
        for job in jobs:
            stdin.write(json.dumps({"number": self._number, **vars(job)}) + "\n")
            self._number += 1
        stdin.flush()
        outcomes: list[Outcome] = []
        for _ in range(first, self._number):
            line = stdout.readline()
            assert line, f"the clients' process is gone:\n{self.log}"
            outcome = json.loads(line)
            for name in ("error", "sizes", "told"):
                outcome[name] = tuple(outcome.get(name, ()))
            outcomes.append(Outcome(**outcome))
        for each in outcomes:
            each.check(TABLE[self.kind])
        return sorted(outcomes, key=lambda each: each.number)

    def warm_up(self) -> None:
        """Let it load and allocate what it needs for any server at all."""

        def greet(visit: Visit) -> None:
            visit.read_request()
            if b" /no " in visit.request:
                visit.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
                return
            visit.send(visit.build_101() + text("hello" * 100) + build_frame(CLOSE, b"\x03\xe8"))
            visit.read_frame()

        for tls in (None, server_context()):
            with scripted(greet, tls=tls, parallel=True) as server:
                options = {"ssl_options": trusting()} if tls else {}
                jobs = [Job(server.url + path, options) for path in ("", "/no") * 12]
                self.ask_all(jobs)
        set_baseline(self.pid)
        self._idle = min((self.fds(), self.threads()) for _ in range(20))

    # --- what is seen of it ----------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All it has printed."""
        return Path(self._log.name).read_text()

    def fds(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def check_idle(self) -> None:
        """See that within a second of whatever has happened it has the descriptors and threads of before."""

        def has_left() -> bool:
            return self.fds() <= self._idle[0] and self.threads() <= self._idle[1]

        wait_for(has_left, 2.0, f"{self.fds(), self.threads()} descriptors, threads to be {self._idle}")

    def stop(self) -> None:
        self._pipe(self._process.stdin).close()
        try:
            assert self._process.wait(10) == 0, self.log
        finally:
            self._process.kill()
            self._process.wait()
            self._pipe(self._process.stdout).close()
            self._log.close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextlib.contextmanager
def at_most(size: int, clients: ClientProcess, at_once: int = 1) -> Iterator[None]:
    """
    See that what is done in the block costs the clients no more memory.

    Args:
        size: Bytes for one client.
        at_once: How many there are at a time. When they have gone, what they leave to the allocator is
            taken for granted from then on.
    """
    with Memory(clients) as memory:
        yield
    report(f"P31 {clients.kind}", growth=memory.text)
    assert memory.growth <= size * at_once
    if at_once > 1:
        set_baseline(clients.pid)


def trusting() -> dict[str, str]:
    """Return ``ssl_options`` that trust the authority of the tests' certificates."""
    return {"ca_certs": str(certificates()[2])}
