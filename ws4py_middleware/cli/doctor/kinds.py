"""
All that the doctor can find, in one table: what is seen, why it matters, and what to do about it.

``docs/howto/doctor.md`` shows the same table; a test compares the two.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["KINDS", "Kind", "Level"]


class Level(enum.Enum):
    """How much it matters."""

    #: It works.
    OK = "ok"
    #: Good to know.
    INFO = "info"
    #: It works, and will not always.
    WARN = "warn"
    #: It does not work.
    BAD = "bad"


class Kind(NamedTuple):
    """A kind of finding; what stands in {braces} is filled in, and what stands in `backticks` is code."""

    level: Level
    what: str
    why: str = ""
    do: str = ""


_OK, _INFO, _WARN, _BAD = Level.OK, Level.INFO, Level.WARN, Level.BAD

_START = {
    "started": Kind(_OK, "the server answers HTTP {seconds} s after its start"),
    "program_missing": Kind(
        _BAD,
        "there is no program {program}",
        "nothing of this name is in this environment or on the PATH",
        "`pip install {package}`",
    ),
    "not_started": Kind(
        _BAD,
        "the server does not answer: {problem}",
        "the last that it said is: {last}",
        "run the command without the doctor until it answers HTTP",
    ),
    "extra_missing": Kind(
        _BAD,
        "{module} is not installed",
        "{problem}",
        "`pip install {package}`",
    ),
    "app_not_imported": Kind(
        _BAD,
        "{app} cannot be imported",
        "{problem}",
        "mend the import: `python -c 'import {module}'` must pass in this folder",
    ),
    "wsgi_under_asgi": Kind(
        _BAD,
        "{app} is a WSGI application, and {server} is a server for ASGI",
        "such a server has no socket to give to a WSGI application",
        "run `gunicorn -k gthread {app}`, or wrap an ASGI application in `WebSocketASGI`",
    ),
    "asgi_under_wsgi": Kind(
        _BAD,
        "{app} is an ASGI application, and {server} is a server for WSGI",
        "such a server calls it with two arguments, and awaits nothing",
        "run `uvicorn {app}`, or `gunicorn -k asgi {app}`",
    ),
    "listens_elsewhere": Kind(
        _WARN,
        "the program listens on {address}",
        "the doctor does not know its options, so it could not put it on loopback",
        "write `{{port}}` where the command has its port, and `127.0.0.1` for its address",
    ),
    "pure_build": Kind(
        _WARN,
        "the pure Python build runs: {reason}",
        "all works, and a message costs two to six times the CPU",
        "unset `WS4PY_MIDDLEWARE_PURE`, install gcc and python3-dev, then: "
        "`pip install --force-reinstall --no-cache-dir ws4py_middleware`",
    ),
    "preloaded_manager": Kind(
        _BAD,
        "{app} starts a manager of WebSockets when it is imported",
        "with {option} that is before the fork: its thread stays in the parent process, and nobody serves "
        "the sockets of the workers",
        "leave `manager=` away (each worker then has its own), or start it in gunicorn's `post_fork()`",
    ),
    "gevent_unpatched": Kind(
        _WARN,
        "{app} is imported before gevent has patched the standard library",
        "what it imports keeps locks and sockets that stop the whole worker",
        "{do}",
    ),
    "one_at_a_time": Kind(
        _INFO,
        "one HTTP request at a time is answered here",
        "open WebSockets hold nobody up, but a slow view holds up the next handshake",
        "{do}",
    ),
    "workers_alone": Kind(
        _INFO,
        "{count} processes serve, each with WebSockets of its own",
        "without a backplane a room has only the members of one process",
        'if you use rooms: `set_hub(Hub("redis://..."))`, see docs/howto/rooms.md',
    ),
    "few_descriptors": Kind(
        _INFO,
        "a process may open {limit} files, and `max_connections` is {connections}",
        "a WebSocket is an open file; near the end upgrades are answered with 503",
        "raise the limit (`ulimit -n {wanted}`, `LimitNOFILE={wanted}`), or set `max_connections={fitting}`",
    ),
}

_ROUTES = {
    "routes": Kind(_INFO, "the routes are {routes}"),
    "settings": Kind(_INFO, "what differs from the defaults on {path}: {settings}"),
    "no_routes": Kind(
        _WARN,
        "no route was found in {app}",
        "views that return upgrade() cannot be seen from outside, nor can what a script does",
        "name the path: `--path /the/path`",
    ),
    "no_path": Kind(
        _BAD,
        "there is no path to ask for",
        "no route was found, and the usual ones ({tried}) are no WebSockets",
        "name the path: `--path /the/path`",
    ),
    "route_not_found": Kind(
        _BAD,
        "{path} is answered with 404",
        "there is no WebSocket on this path",
        "ask for one that there is: {routes}",
    ),
}

_HANDSHAKE = {
    "handshake": Kind(_OK, "{path} is answered with 101 in {ms} ms"),
    "input_replaced": Kind(
        _BAD,
        "the hand-over is refused with 501: {text}",
        "what is in front of the middleware keeps the way to the socket from it{behind}",
        "put it outermost: `app = WebSocketMiddleware(Other(app), routes)`, not the reverse",
    ),
    "uwsgi_threads": Kind(
        _BAD,
        "the hand-over is refused with 501: {text}",
        "this uWSGI runs no threads of Python's, and the manager of the WebSockets is one",
        "start uWSGI with `--enable-threads`",
    ),
    "uwsgi_router": Kind(
        _BAD,
        "the hand-over is refused with 501: {text}",
        "the router of --http and --https passes HTTP on, and no frames",
        "start uWSGI with `--http-raw-body`",
    ),
    "no_handover": Kind(
        _BAD,
        "the hand-over is refused with 501: {text}",
        "the middleware finds no socket that it could take from this server",
        "run it as the sentence says; docs/topics/handover.md has all servers",
    ),
    "not_allowed": Kind(
        _BAD,
        "{path} is answered with {status}: {text}",
        "authorize, or a view, does not let the doctor in",
        "send what it asks for: `--header 'Cookie: session=...'` or `--header 'Authorization: Bearer ...'`",
    ),
    "server_error": Kind(
        _BAD,
        "{path} is answered with {status}",
        "{problem}",
        "mend it; the traceback is in the log of the server",
    ),
    "no_room": Kind(
        _BAD,
        "{path} is answered with {status}: {text}",
        "a limit is reached, or the process is about to end",
        "raise `max_connections`, `max_connections_per_address` or `handshake_rate`, or wait",
    ),
    "upgrade_dropped": Kind(
        _BAD,
        "the header Upgrade does not arrive: {status} {text}",
        "a proxy in front sends the request on as plain HTTP",
        "nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        'proxy_set_header Connection "upgrade";` docs/howto/proxies.md has the others',
    ),
    "library_missing": Kind(
        _BAD,
        "the header Upgrade is ignored: {server} has no library for WebSockets",
        "it is started with --ws none, or neither websockets nor wsproto is installed",
        '`pip install "ws4py_middleware[asgi]"`, and leave `--ws none` away',
    ),
    "not_a_websocket": Kind(
        _BAD,
        "{path} is answered with {status}, as a plain request is",
        "there is a page and no WebSocket on this path, or a proxy has dropped the header Upgrade",
        "ask for the path of a route; ask the server without the proxy: `doctor http://127.0.0.1:8000{path}`",
    ),
    "redirected": Kind(
        _BAD,
        "{path} is redirected with {status} to {location}",
        "browsers follow no redirect of a WebSocket",
        "connect to `{target}`",
    ),
    "bad_gateway": Kind(
        _BAD,
        "a proxy answers {path} with {status}",
        "it does not reach the server behind it, or gets no answer from that",
        "start the server, and compare its address with `proxy_pass` (or the like); ask the server itself",
    ),
    "refused": Kind(
        _BAD,
        "{path} is answered with {status}: {text}",
        "the handshake is refused",
        "do what the line says; the log of the server may say more",
    ),
    "bad_handshake": Kind(
        _BAD,
        "the answer is no handshake: {problem}",
        "what answers does not speak WebSocket, or what is between changes the answer",
        "ask the server itself, without what is in front of it",
    ),
}

_TALK = {
    "handler_failed": Kind(
        _BAD,
        "the connection is closed with {code} right after the 101",
        "the handler raised an exception in opened(): {problem}",
        "mend the handler; the traceback is in the log of the server",
    ),
    "closed_at_once": Kind(
        _WARN,
        "the connection is closed with {code} {reason!r} right after the 101",
        "the handler does that, in opened() or by returning",
        "nothing, if that is meant; else let it wait for messages",
    ),
    "ping": Kind(_OK, "a ping is answered in {ms} ms"),
    "no_pong": Kind(
        _BAD,
        "a ping is not answered within {seconds} s",
        "the connection was accepted, and nobody serves it",
        "look for what holds the manager's thread: a manager started before a fork, or a hook that blocks",
    ),
    "limited": Kind(
        _INFO,
        "after some connections the answer is {status}: {text}",
        "a limit of connections or handshakes holds; the rest was not looked at",
    ),
    "early": Kind(_OK, "frames that come with the request are kept"),
    "early_lost": Kind(
        _INFO,
        "frames that come with the request are lost ({outcome})",
        "this server drops or refuses what stands behind the head of the request; clients have to wait for "
        "the 101 anyway, and browsers do",
    ),
    "handed_over": Kind(
        _OK, "with {count} sockets open, HTTP is answered in {ms} ms and {threads} threads more run"
    ),
    "worker_held": Kind(
        _BAD,
        "with {count} sockets open, HTTP is not answered within {seconds} s",
        "something waits for the sockets in the threads of the server",
        "run a server of docs/topics/servers.md, and let no hook of a handler block",
    ),
    "threads_held": Kind(
        _WARN,
        "{count} open sockets hold {threads} threads",
        "a handler that is a function has a thread for as long as its connection lasts",
        "make it a class with `received_message()`, or run `gunicorn -k gevent`, where threads are greenlets",
    ),
    "compression": Kind(_INFO, "compression (permessage-deflate) is {state}"),
    "compression_lost": Kind(
        _WARN,
        "compression is set, and is not agreed on",
        "something between drops the header Sec-WebSocket-Extensions",
        "let it pass the headers `Sec-WebSocket-*` as they are",
    ),
    "limit": Kind(_OK, "a message of more than {size} bytes ends the connection with 1009"),
    "limit_cut": Kind(
        _INFO,
        "a message of more than {size} bytes is cut off by the server ({outcome}), without 1009",
        "the server has a limit of its own, which comes first",
    ),
    "limit_off": Kind(
        _WARN,
        "messages may have any size",
        "max_message_size is None: one peer can fill the memory",
        "set `max_message_size`",
    ),
    "limit_not_kept": Kind(
        _BAD,
        "a message of more than {size} bytes is not refused: {outcome}",
        "max_message_size should end the connection with 1009",
        "see whether the server has a limit of its own: docs/howto/asgi.md",
    ),
    "origin": Kind(_OK, "a page of another origin is refused with 403"),
    "origin_open": Kind(
        _WARN,
        "a page of any origin may connect",
        "the browser of a visitor sends your cookies with it (cross-site WebSocket hijacking)",
        'leave `origins` at `"same"`, or list them: `origins=["https://example.com"]`',
    ),
    "own_origin_refused": Kind(
        _BAD,
        "a page of {origin} itself is refused with 403",
        "the server is asked under another name than the browser; a proxy has changed the header Host",
        'nginx: `proxy_set_header Host $http_host;` or list the name: `origins=["{origin}"]`',
    ),
    "no_ping_interval": Kind(
        _WARN,
        "`ping_interval` is {interval}",
        "proxies end connections that are silent, most of them after 60 s, and a peer that vanished is not "
        "noticed",
        "set `ping_interval=20`, or leave it away",
    ),
    "close": Kind(_OK, "the closing handshake takes {ms} ms"),
    "close_unanswered": Kind(
        _BAD,
        "the closing handshake is not finished: {outcome}",
        "the peer cannot tell a goodbye from a broken network (1006)",
        "look for a hook that blocks, or a proxy that ends the connection first",
    ),
    "errors_logged": Kind(
        _WARN,
        "the server has printed a traceback: {last}",
        "it happened while the doctor looked at it",
        "run the doctor with `--show-log` and read it",
    ),
}

_TLS = {
    "tls": Kind(_OK, "{version}, {cipher}; the certificate is good for {days} days"),
    "certificate_ends": Kind(
        _WARN,
        "the certificate ends in {days} days",
        "from then on nobody connects",
        "renew it, and let a timer do that from now on",
    ),
    "certificate_refused": Kind(
        _BAD,
        "the certificate is refused: {problem}",
        "browsers and clients do not connect",
        "serve a certificate for this name with its whole chain; `--ca FILE` or `--insecure` to go on here",
    ),
}

_END = {
    "drain": Kind(
        _OK, "on SIGTERM the socket is closed with {code} ({seconds} s), the process ends ({end} s)"
    ),
    "drain_silent": Kind(
        _WARN,
        "on SIGTERM the process ends without a Close frame",
        "peers see 1006, and do not know whether to come back",
        "{do}",
    ),
    "drain_late": Kind(
        _BAD,
        "on SIGTERM the process does not end within {seconds} s{closed}",
        "whoever deploys it kills it",
        "{do}",
    ),
    "sigterm_reloads": Kind(
        _BAD,
        "on SIGTERM the server starts again{closed}, and does not end",
        "whoever deploys it waits, and kills it",
        "{do}",
    ),
    "drain_other": Kind(
        _INFO,
        "on SIGTERM the socket is closed with {code}, not with 1001",
        "this server, or its library, sends codes of its own",
    ),
}

_SITE = {
    "unreachable": Kind(
        _BAD, "no connection: {problem}", "nobody listens there, or something drops it on the way", "{do}"
    ),
    "answered_by": Kind(_INFO, "the answer says: {headers}"),
    "subprotocol": Kind(_OK, "the subprotocol {name} is agreed on"),
    "subprotocol_refused": Kind(
        _WARN,
        "none of the subprotocols {names} is agreed on",
        "a browser that asks for some ends a connection without one",
        "set `subprotocols=[{names}]`",
    ),
    "pings_seen": Kind(_INFO, "the server pings, about every {interval} s"),
    "idle_kept": Kind(_OK, "a silent connection was still there after {seconds} s"),
    "idle_cut": Kind(
        _BAD,
        "a silent connection was cut after {seconds} s, {how}",
        "a proxy between ends what is silent for so long; {pings}",
        "set `ping_interval` below {seconds}, or the time-out of the proxy above it: docs/howto/proxies.md",
    ),
    "idle_closed": Kind(
        _INFO,
        "a silent connection was closed with {code} {reason!r} after {seconds} s",
        "the handler or its idle_timeout does that",
    ),
}

#: Code → what it is.
KINDS = {**_START, **_ROUTES, **_HANDSHAKE, **_TALK, **_TLS, **_END, **_SITE}
