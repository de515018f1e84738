"""Whom the checks are about: a server that runs here, or a site somewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from .findings import Report
from .inside import Facts, RouteFacts
from .peer import Place
from .running import find_exception, wait_until

__all__ = ["Options", "Subject"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line has said."""

    #: The path to ask for; ``None``: the first that is found.
    path: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] = ()
    #: For each answer; seconds.
    timeout: float = 5.0
    #: How many sockets are open at once.
    sockets: int = 20
    #: How long a silent connection is watched; seconds.
    idle: float | None = None
    #: A file of authorities to believe.
    ca: str | None = None
    #: Any certificate is taken.
    insecure: bool = False


@dataclasses.dataclass
class Subject:
    """Whom the checks are about."""

    report: Report
    place: Place
    #: What the application says of itself, where it could be asked.
    facts: Facts | None = None
    #: The route that is looked at, if it is known.
    route: RouteFacts | None = None
    #: Whether the server speaks ASGI.
    asgi: bool = False
    #: What the application is called, and what makes the server import it before it forks.
    app: str = "the application"
    before_fork: str = "--preload"
    #: All that the server has printed; ``None``: that is not to be seen from here.
    read_log: Callable[[], str] | None = None

    @property
    def log(self) -> str:
        """What the server has printed, as far as it is known."""
        return "" if self.read_log is None else self.read_log()

    def find_exception(self, timeout: float = 0.0) -> str:
        """
        Return the last line of the last traceback that the server has printed; empty where there is none.

        Args:
            timeout: How long to wait for one that must be there; seconds.
        """
        if self.read_log is not None:
            wait_until(lambda: bool(find_exception(self.log)), timeout)
        return find_exception(self.log)

    def name_routes(self) -> str:
        """List the routes, for a sentence."""
        if self.facts is None or not self.facts.routes:
            return "the routes of the application, which are not known here"
        return ", ".join(route.path for route in self.facts.routes)
