"""
What a test can know of a server without starting it, and how a family of servers is described.

A family is a module of this folder with a ``FAMILY``: the name of each of its kinds → :class:`Kind`. It is
found by being there; nothing else has to be edited for a new one::

    def _run(setup: Setup) -> None:                 # in the subprocess
        from waitress import serve

        exit_on_sigterm()
        serve(setup.load(), host="127.0.0.1", port=setup.port, threads=setup.threads)

    FAMILY = {"waitress": Kind(run=_run, tls=False, access_log=False)}

Servers that have a command line which does all we need are started by it: ``command`` in place of ``run``.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import signal
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Setup(NamedTuple):
    """What a server is to serve, and where."""

    kind: str
    #: ``"module:attribute"``.
    app: str
    port: int
    threads: int = 2
    #: Certificate and private key, or None without TLS.
    pem: tuple[str, str] | None = None
    #: More command line options; only what the family makes of them.
    options: Sequence[str] = ()

    def load(self) -> Any:
        """Import the application."""
        module, _, attribute = self.app.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def tls_context(self) -> ssl.SSLContext | None:
        """Make the server's TLS context; None without TLS."""
        if self.pem is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pem)
        return context


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """How servers of one kind are started, and what they do."""

    #: Serves until a signal comes; called in the subprocess.
    run: Callable[[Setup], None] | None = None
    #: Makes the whole command line, where there is no need for code of ours.
    command: Callable[[Setup], list[str]] | None = None
    #: What an application for it is: "wsgi", "asgi", or a name of the family's own.
    interface: str = "wsgi"
    #: It serves plain HTTP.
    plain: bool = True
    #: It serves HTTPS.
    tls: bool = True
    #: WebSockets come in streams of HTTP/2; the tests' raw HTTP does not.
    http2: bool = False
    #: It answers several requests at a time, each in a thread, greenlet or task of its own.
    threaded: bool = False
    #: The process that serves is a child of the one that is started.
    forks: bool = False
    #: An untouched SIGTERM kills it without running atexit; SIGINT ends it in order.
    ends_by_sigint: bool = False
    #: It prints a line for each request.
    access_log: bool = True
    #: The tests that run on every server run on this one, too: it is in KINDS and TLS_KINDS, or ASGI_KINDS.
    everywhere: bool = True

    @property
    def signal(self) -> signal.Signals:
        """The signal that ends it in order."""
        return signal.SIGINT if self.ends_by_sigint else signal.SIGTERM


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process in order; for servers that have no word on it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))


def _find_families() -> Mapping[str, Kind]:
    package = __name__.rpartition(".")[0]
    table: dict[str, Kind] = {}
    for info in pkgutil.iter_modules(sys.modules[package].__path__):
        if info.name not in ("__main__", "kinds", "live", "tls"):
            table |= importlib.import_module(f"{package}.{info.name}").FAMILY
    return table


#: Every kind there is.
TABLE = _find_families()


def _names(interface: str, **facts: bool) -> tuple[str, ...]:
    return tuple(
        name
        for name, kind in TABLE.items()
        if kind.interface == interface and all(getattr(kind, fact) is value for fact, value in facts.items())
    )


#: The WSGI servers that speak plain HTTP, for tests that run on every one.
KINDS = _names("wsgi", everywhere=True, plain=True)
#: Those that speak TLS.
TLS_KINDS = _names("wsgi", everywhere=True, tls=True)
#: The ASGI servers.
ASGI_KINDS = _names("asgi", everywhere=True, plain=True)
