"""
An echo server on gevent, with the classes that ws4py had for it.

    python app.py
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - after the patching, as gevent wants it
import signal  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import gevent  # noqa: E402

from ws4py_middleware.server.geventserver import WSGIServer  # noqa: E402
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication  # noqa: E402
from ws4py_middleware.websocket import EchoWebSocket  # noqa: E402

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

echo = WebSocketWSGIApplication(handler_cls=EchoWebSocket, max_message_size=16 * 1024 * 1024)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Echo at ``/echo``, and say so elsewhere."""
    if environ["PATH_INFO"] == "/echo":
        return echo(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Connect to /echo with a WebSocket.\n"]


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; all peers are told."""
    parser = argparse.ArgumentParser(description="An echo server on gevent.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--certificate", help="serve wss:// with this certificate")
    parser.add_argument("--key", help="its private key")
    options = parser.parse_args()
    tls: dict[str, Any] = {}
    if options.certificate:
        tls = {"certfile": options.certificate, "keyfile": options.key}
    server = WSGIServer((options.host, options.port), app, **tls)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    gevent.signal_handler(signal.SIGINT, server.stop)
    server.serve_forever()


if __name__ == "__main__":
    main()
