"""gevent's own server, in a process that is patched and in one that is not."""

from __future__ import annotations

import signal
from typing import Any

from tests.servers.kinds import Kind, Setup


def _run(setup: Setup) -> None:
    if setup.kind == "gevent-pywsgi":
        from gevent import monkey

        monkey.patch_all()

    import gevent
    from gevent.pywsgi import WSGIServer

    options: dict[str, Any] = {"certfile": setup.pem[0], "keyfile": setup.pem[1]} if setup.pem else {}
    server = WSGIServer(("127.0.0.1", setup.port), setup.load(), **options)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()


FAMILY = {
    "gevent-pywsgi": Kind(run=_run, threaded=True),
    "gevent-pywsgi-unpatched": Kind(run=_run, threaded=True),
}
