"""An application that asks for the hand-over in a thread (or greenlet) of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from tests.matrix.wsgi_app import app as inner


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    started: list[Any] = []
    pieces: list[bytes] = []

    def run() -> None:
        pieces.extend(inner(environ, lambda *arguments: started.append(arguments)))

    if "gevent" in environ["QUERY_STRING"]:
        import gevent

        gevent.spawn(run).join()
    else:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    start_response(*started[-1])
    return pieces
