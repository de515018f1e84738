"""
The rows of the matrix, and what each server cannot do.

A limit is an outcome other than the good one, with the reason; "this or that" where it is not always the
same. The tests assert exactly this outcome, so that the day when a server can do more is noticed;
``docs/topics/servers.md`` shows it with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.matrix.columns import COLUMNS, GOOD
from tests.servers import TABLE


class Limit(NamedTuple):
    outcome: str
    reason: str


def is_expected(outcome: str, expected: str) -> bool:
    """Tell whether all that was seen is what was expected, or one of it."""
    return outcome == expected or set(outcome.split(", ")) <= set(expected.split(" or "))


@dataclasses.dataclass(frozen=True)
class Row:
    """A server of the matrix."""

    #: In ``tests.servers``.
    kind: str
    #: For people.
    title: str
    app: str = "tests.matrix.wsgi_app:app"
    #: In reports; where it is not the kind's.
    other_name: str = ""
    limits: Mapping[str, Limit] = dataclasses.field(default_factory=dict)
    #: Those that hold over TLS, in place of the others.
    tls_limits: Mapping[str, Limit] = dataclasses.field(default_factory=dict)

    #: What is to be said of a column though it is good.
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.other_name or self.kind

    @property
    def flavours(self) -> Iterator[str]:
        facts = TABLE[self.kind]
        yield from ["ws"] if facts.plain else []
        yield from ["wss"] if facts.tls else []

    def get_limits(self, flavour: str) -> Mapping[str, Limit]:
        return {**self.limits, **(self.tls_limits if flavour == "wss" else {})}

    def get_expected(self, flavour: str) -> dict[str, str]:
        """Return what each column is to see."""
        facts = TABLE[self.kind]
        usual = {"held": "200" if facts.threaded else "50", "log": "200" if facts.http2 else "101"}
        limits = {column: limit.outcome for column, limit in self.get_limits(flavour).items()}
        found = {**GOOD, **usual, **limits}
        return {column: found[column] for column in COLUMNS}


_NO_LOG = Limit("nothing", "It keeps no access log.")
_ON_EXIT = "`signal.signal(signal.SIGTERM, lambda *_: sys.exit())`"
_SIGINT = {
    "stop": "On SIGINT (Ctrl-C). An untouched SIGTERM kills the process at once, without `atexit`: nothing "
    f"is sent, and with {_ON_EXIT} in the application it is as on SIGINT."
}
_SCRIPT = {
    "stop": "Of itself it leaves SIGTERM alone, which kills the process at once, without `atexit`: a "
    f"script that has {_ON_EXIT} or the like."
}
_WAITRESS = {
    "early": "Frames with an empty line (CR LF CR LF) in them are taken for a request by waitress: 501, "
    "and nothing is lost silently."
}
_IN_ORDER = '`--hook-master-start "unix_signal:15 gracefully_kill_them_all"`'
_UWSGI = {
    "stop": f"With {_IN_ORDER}: of itself, uWSGI reloads on SIGTERM. With `--die-on-term` it says 1001, too, "
    "unless a request is being answered."
}
_ROUTER = {
    "early": "With `--http-raw-body`, which it needs anyway; `--http-websockets` loses them.",
    "stop": f"With {_IN_ORDER}; with `--die-on-term`, its router is killed before all have been told.",
}

WSGI = [
    Row("gunicorn-sync", "gunicorn sync"),
    Row("gunicorn-gthread", "gunicorn gthread"),
    Row("gunicorn-gevent", "gunicorn gevent"),
    Row("gunicorn-gevent_pywsgi", "gunicorn gevent_pywsgi"),
    Row("werkzeug", "Werkzeug, `flask run`", notes=_SIGINT),
    Row("werkzeug-single", "Werkzeug, one thread", notes=_SIGINT),
    Row("django-runserver", "Django's runserver", notes=_SIGINT),
    Row("wsgiref", "wsgiref", notes=_SCRIPT),
    Row("gevent-pywsgi", "gevent.pywsgi", notes=_SCRIPT),
    Row("gevent-pywsgi-unpatched", "gevent.pywsgi, not patched", notes=_SCRIPT),
    Row("cheroot", "cheroot", limits={"log": _NO_LOG}, notes=_SCRIPT),
    Row("cheroot-pyopenssl", "cheroot, pyOpenSSL", limits={"log": _NO_LOG}, notes=_SCRIPT),
    Row("waitress", "waitress", limits={"log": _NO_LOG}, notes={**_SCRIPT, **_WAITRESS}),
    Row("uwsgi-http-socket", "uWSGI `--http-socket`", notes=_UWSGI),
    Row("uwsgi-gevent", "uWSGI `--gevent`", notes=_UWSGI),
    Row("uwsgi-http", "uWSGI `--http`", notes=_ROUTER),
    Row("uwsgi-https", "uWSGI `--https`", notes=_ROUTER),
    Row("ws4py-wsgiref", "`ws4py_middleware.server.wsgirefserver`", notes=_SCRIPT),
    Row("ws4py-gevent", "`ws4py_middleware.server.geventserver`", notes=_SCRIPT),
    Row("ws4py-gevent-unpatched", "the same, not patched", notes=_SCRIPT),
]

_CHERRYPY = "tests.matrix.cherrypy_app:app"
CHERRYPY = [
    Row("cherrypy", "CherryPy", _CHERRYPY),
    Row("cherrypy-pyopenssl", "CherryPy, pyOpenSSL", _CHERRYPY),
    Row("cherrypy-native", "CherryPy, native gateway", _CHERRYPY),
    *(
        Row(f"gunicorn-{worker}", f"CherryPy on gunicorn {worker}", _CHERRYPY, f"cherrypy-gunicorn-{worker}")
        for worker in ("sync", "gthread", "gevent")
    ),
]

_LOST = Limit("lost", "The server drops what comes behind the head of the request.")
_ACCEPTED = Limit("accepted", 'It logs `"WebSocket /echo" [accepted]`.')
_CANCELLED = Limit(
    "errors", "When it is stopped, it cancels the tasks of its connections and prints a traceback for each."
)
_UVICORN = {"early": _LOST, "log": _ACCEPTED}
_ASGI = "tests.matrix.asgi_app:app"
ASGI = [
    Row(
        "uvicorn-websockets-sansio",
        "uvicorn `--ws websockets-sansio`, its own choice",
        _ASGI,
        limits=_UVICORN,
    ),
    Row("uvicorn-websockets", "uvicorn `--ws websockets`", _ASGI, limits=_UVICORN),
    Row("uvicorn-wsproto", "uvicorn `--ws wsproto`", _ASGI, limits=_UVICORN),
    Row(
        "hypercorn",
        "hypercorn",
        _ASGI,
        limits={
            "early": Limit("400", "It refuses a request that has something behind its head."),
            "quiet": _CANCELLED,
        },
    ),
    Row(
        "hypercorn-http2",
        "hypercorn, HTTP/2",
        _ASGI,
        limits={
            "early": Limit(
                "400 or kept", "It refuses a stream whose data comes before it has been accepted."
            ),
            "close": Limit(
                "reset (client first)",
                "Behind a close handshake that the client began, it resets the stream.",
            ),
            "stop": Limit("no Close frame", "It ends the connection, and with it all streams, at once."),
            "quiet": _CANCELLED,
        },
        notes={"log": "Over HTTP/2 the answer to an upgrade is 200 (RFC 8441)."},
    ),
    Row(
        "daphne",
        "daphne",
        _ASGI,
        limits={
            "early": _LOST,
            "close": Limit(
                "reset (server first)", "Behind a close handshake that we began, it resets the connection."
            ),
            "log": Limit("WSCONNECT", 'It logs `"WSCONNECT /echo"`.'),
            "stop": Limit(
                "4001",
                "Its library lets applications send no codes below 3000 but 1000: 3000 are added to 1001.",
            ),
        },
        notes={
            "message": "With `--websocket_max_message_size`; by default it drops who sends more than 1 MiB."
        },
    ),
    Row(
        "granian",
        "granian",
        _ASGI,
        limits={
            "close": Limit(
                "clean or reset (server first)",
                "It does not wait for the answer to its Close frame, which may find the socket closed.",
            ),
            "stop": Limit(
                "1001 or no Close frame", "Its worker ends at once, and what was sent may not have left yet."
            ),
        },
        tls_limits={
            "close": Limit("no close_notify or reset", "It ends the TCP connection without the end of TLS."),
        },
    ),
    Row(
        "gunicorn-asgi",
        "gunicorn asgi",
        _ASGI,
        limits={"early": _LOST, "log": Limit("nothing", "Its access log has no WebSockets.")},
    ),
]

#: By the heading that they have in the docs.
TABLES = {"WSGI servers": WSGI, "CherryPy, with its tool": CHERRYPY, "ASGI servers": ASGI}
ROWS = [row for rows in TABLES.values() for row in rows]
