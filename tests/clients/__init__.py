"""
One way to run a client of each kind in a test, whatever it runs on.

::

    from tests.clients import KINDS, open_client

    @pytest.mark.parametrize("kind", KINDS)
    def test_something(kind: str) -> None:
        with open_client(kind, "ws://127.0.0.1:9000/echo", compression=True) as session:
            session.send("hello")
            assert str(session.receive(5)) == "hello"
            session.close(1000, "bye")
            assert session.receive(5) is None          # the end
            assert (session.code, session.reason) == (1000, "bye")

What ``connect()`` raises comes out of the ``with``. :func:`make_client` is the same without a connection:
``session.connect()`` makes one, as often as wanted. The calls wait, also where the client itself awaits;
what has a loop runs it in a thread behind the session, and goes on between the calls.

Each kind has a module here, with a ``KIND``; it is found by being there.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

from tests.clients.session import BOUND, Kind, Session

__all__ = ["BOUND", "KINDS", "TABLE", "Kind", "Session", "make_client", "open_client"]


def _find_kinds() -> Mapping[str, Kind]:
    names = [info.name for info in pkgutil.iter_modules(__path__) if info.name != "session"]
    return {name: importlib.import_module(f"{__name__}.{name}").KIND for name in sorted(names)}


#: Name → what there is to know of it.
TABLE = _find_kinds()
#: The names, for tests that run with each.
KINDS = tuple(TABLE)


@contextlib.contextmanager
def make_client(kind: str, url: str, **options: Any) -> Iterator[Session]:
    """
    Make a client, which is not connected; at the end of the block it has left, with all it needed.

    Args:
        kind: One of :data:`KINDS`.
        url: Where to.
        options: What else the client's constructor takes.
    """
    with TABLE[kind].home() as call:
        session = Session(call, TABLE[kind], url, options)
        try:
            yield session
        except BaseException:
            session.terminate()
            raise
        session.leave()


@contextlib.contextmanager
def open_client(kind: str, url: str, **options: Any) -> Iterator[Session]:
    """Connect a client; at the end of the block the closing handshake is made."""
    with make_client(kind, url, **options) as session:
        session.connect()
        yield session
