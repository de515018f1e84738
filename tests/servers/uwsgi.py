"""
uWSGI: a socket that speaks HTTP, with threads; its HTTP router in front; gevent's loop.

SIGTERM is told to stop in order, or the router would be killed before it has passed the last frames on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.kinds import Kind, Setup

_MODES = {
    "uwsgi-http-socket": ("--http-socket", "{address}", "--threads", "{threads}"),
    "uwsgi-http": ("--http", "{address}", "--http-raw-body", "--threads", "{threads}"),
    "uwsgi-gevent": ("--http-socket", "{address}", "--gevent", "100"),
}
_HTTPS = ("--https", "{address},{cert},{key}", "--http-raw-body", "--threads", "{threads}")


def _command(setup: Setup) -> list[str]:
    cert, key = setup.pem or ("", "")
    words = {"address": f"127.0.0.1:{setup.port}", "threads": setup.threads, "cert": cert, "key": key}
    mode = [word.format(**words) for word in (_HTTPS if setup.pem else _MODES[setup.kind])]
    command = [str(Path(sys.executable).with_name("uwsgi")), "--master", "--need-app", "--lazy-apps"]
    command += ["--home", sys.prefix, "--module", setup.app]
    if "--die-on-term" not in setup.options:
        command += ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
    return [*command, *mode, *setup.options]


FAMILY = {
    "uwsgi-http-socket": Kind(command=_command, tls=False, threaded=True, forks=True),
    "uwsgi-http": Kind(command=_command, threaded=True, forks=True),
    "uwsgi-gevent": Kind(command=_command, tls=False, threaded=True, forks=True),
}
