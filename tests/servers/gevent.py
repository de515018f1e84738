"""gevent's own server, in a process that is patched and in one that is not."""

from __future__ import annotations

import importlib
import signal
from typing import Any

from tests.servers.kinds import Kind, Setup


def run(setup: Setup, server_class: str) -> None:
    """Serve by a class like gevent's own, ``"module:Name"``, patched unless the kind says not."""
    if not setup.kind.endswith("-unpatched"):
        from gevent import monkey

        monkey.patch_all()

    import gevent

    module, _, name = server_class.partition(":")
    # Only now: what is imported before the patch is not patched.
    make: Any = getattr(importlib.import_module(module), name)
    options: dict[str, Any] = {"certfile": setup.pem[0], "keyfile": setup.pem[1]} if setup.pem else {}
    server = make(("127.0.0.1", setup.port), setup.load(), **options)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()


def _run(setup: Setup) -> None:
    run(setup, "gevent.pywsgi:WSGIServer")


FAMILY = {
    "gevent-pywsgi": Kind(run=_run, threaded=True),
    "gevent-pywsgi-unpatched": Kind(run=_run, threaded=True),
}
