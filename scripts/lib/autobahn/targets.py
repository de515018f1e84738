"""
What the testsuite is run against, and what of it is known to do something wrong.

Servers run the echo example, and the testsuite is their client; for clients that send everything back it is
the server. In a client and under WSGI every byte is read and written by this project, and every case has to
be fine. Under ASGI it is the server that speaks the protocol: the verdicts are the server's. What it does
wrong is in ``expected.json``, case by case, and a run fails on any other outcome; a case that has become
fine fails, too, until it is taken out. But for NON-STRICT: a message comes with something that is forbidden
behind it, and it is a race whether its echo leaves before the server ends the connection; so it may be OK
as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.lib.autobahn.verdicts import Verdict, sort_key

EXPECTED = Path(__file__).with_name("expected.json")


class Target(NamedTuple):
    """A server with the echo example, or a client that sends everything back."""

    #: A server's is in tests.servers, a client's in scripts.lib.autobahn.clients.
    kind: str
    #: For people.
    title: str
    app: str = "examples.echo.autobahn_app:app"
    #: Its verdicts are in docs/topics/conformance.md.
    documented: bool = True
    #: The server speaks the protocol itself.
    asgi: bool = False
    is_client: bool = False
    #: Which set ``ci`` is for it. All compress with the same code, but for those that have their own.
    ci: str = "ci"


_ASGI = "examples.echo.autobahn_asgi:app"
TARGETS = {
    "sync": Target("gunicorn-sync", "gunicorn sync", documented=False),
    "gthread": Target("gunicorn-gthread", "gunicorn gthread"),
    "gevent": Target("gunicorn-gevent", "gunicorn gevent"),
    # From the hand-over on it is the same as gthread.
    "cherrypy": Target("cherrypy", "CherryPy", "examples.echo.autobahn_cherrypy:app", ci="brief"),
    # Uvicorn's own choice is the first.
    "uvicorn": Target(
        "uvicorn-websockets-sansio", "uvicorn, websockets-sansio", _ASGI, asgi=True, ci="brief"
    ),
    "uvicorn-websockets": Target(
        "uvicorn-websockets", "uvicorn, websockets", _ASGI, asgi=True, documented=False
    ),
    "uvicorn-wsproto": Target("uvicorn-wsproto", "uvicorn, wsproto", _ASGI, asgi=True, documented=False),
    "client-base": Target("base", "base client", is_client=True, documented=False),
    "client-threaded": Target("threaded", "threaded client", is_client=True),
    "client-gevent": Target("gevent", "gevent client", is_client=True, ci="brief"),
    "client-tornado": Target("tornado", "tornado client", is_client=True, ci="brief"),
    "client-asyncio": Target("asyncio", "asyncio client", is_client=True),
}

#: What ``--server`` and ``--client`` may say.
SERVERS = tuple(name for name, target in TARGETS.items() if not target.is_client)
CLIENTS = tuple(target.kind for target in TARGETS.values() if target.is_client)

#: What a run is against when nobody says it.
USUAL = (
    *("gthread", "gevent", "cherrypy", "uvicorn"),
    *("client-threaded", "client-gevent", "client-tornado", "client-asyncio"),
)

#: What may be OK as well.
RACE = ("NON-STRICT", "OK")

#: Server → case → (behavior, close).
Known = Mapping[str, Mapping[str, Sequence[str]]]


def read_expected(path: Path = EXPECTED) -> Known:
    """Read what servers are known to do wrong."""
    known: Known = json.loads(path.read_text())
    return known


def accept(name: str, verdicts: Iterable[Verdict], path: Path = EXPECTED) -> None:
    """Write down that this is what a server does in these cases; others, and what is a race, stay."""
    known = {server: dict(cases) for server, cases in read_expected(path).items()}
    cases = known.setdefault(name, {})
    for verdict in verdicts:
        if verdict.fine:
            if tuple(cases.get(verdict.case, ())) != RACE:
                cases.pop(verdict.case, None)
        else:
            cases[verdict.case] = (verdict.behavior, verdict.close)
    known = {server: dict(sorted(known[server].items(), key=_by_case)) for server in sorted(known)}
    lines = [
        f" {json.dumps(server)}: {{\n"
        + ",\n".join(f"  {json.dumps(case)}: {json.dumps(outcome)}" for case, outcome in cases.items())
        + "\n }"
        for server, cases in known.items()
        if cases
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _by_case(item: tuple[str, Sequence[str]]) -> tuple[int, ...]:
    return sort_key(item[0])


def find_surprises(verdicts: Iterable[Verdict], known: Mapping[str, Sequence[str]]) -> list[str]:
    """Compare a run with what is known of the server; return, in words, what is otherwise."""
    surprises = []
    for verdict in verdicts:
        seen = (verdict.behavior, verdict.close)
        expected = tuple(known.get(verdict.case, ()))
        if not expected and not verdict.fine:
            surprises.append(f"{verdict.case}: {' / '.join(seen)}, which is not fine: {verdict.reason}")
        elif expected not in ((), seen) and not (verdict.fine and expected == RACE):
            surprises.append(f"{verdict.case}: {' / '.join(seen)}, but known as {' / '.join(expected)}")
    return surprises
