"""
uWSGI: a socket that speaks HTTP, with threads; its HTTP router in front, plain and with TLS; gevent's loop.

SIGTERM is made to stop it in order. As it is, it means "reload"; and with ``--die-on-term`` the router is
killed while the last frames are on their way through it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.kinds import Kind, Setup

IN_ORDER = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")

# The common one, in place of uWSGI's own.
_LOG = ("--log-format", '%(addr) "%(method) %(uri) %(proto)" %(status) %(rsize)')

_MODES = {
    "uwsgi-http-socket": ("--http-socket", "{address}", "--threads", "{threads}"),
    "uwsgi-http": ("--http", "{address}", "--http-raw-body", "--threads", "{threads}"),
    "uwsgi-https": ("--https", "{address},{cert},{key}", "--http-raw-body"),
    "uwsgi-gevent": ("--http-socket", "{address}", "--gevent", "100"),
    # Whatever the options say, and the log as it is.
    "uwsgi": (),
}


def _command(setup: Setup) -> list[str]:
    cert, key = setup.pem or ("", "")
    words = {"address": f"127.0.0.1:{setup.port}", "threads": setup.threads, "cert": cert, "key": key}
    given = [*_MODES[setup.kind], *setup.options]
    command = [str(Path(sys.executable).with_name("uwsgi")), "--master", "--need-app"]
    command += ["--home", sys.prefix, "--module", setup.app]
    command += _LOG if setup.kind != "uwsgi" else ()
    command += [] if "--die-on-term" in given else IN_ORDER
    return command + [word.format(**words) for word in given]


FAMILY = {
    "uwsgi-http-socket": Kind(command=_command, tls=False, threaded=True, forks=True),
    "uwsgi-http": Kind(command=_command, tls=False, threaded=True, forks=True),
    "uwsgi-https": Kind(command=_command, plain=False, forks=True),
    "uwsgi-gevent": Kind(command=_command, tls=False, threaded=True, forks=True),
    "uwsgi": Kind(command=_command, forks=True, everywhere=False),
}
