"""The package's own servers, those that ws4py had; an application finds ``ws4py.socket`` in their environ."""

from __future__ import annotations

from tests.servers.gevent import run
from tests.servers.kinds import Kind, Setup, exit_on_sigterm


def _run_wsgiref(setup: Setup) -> None:
    from wsgiref.simple_server import make_server

    from ws4py_middleware.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer

    server = make_server(
        "127.0.0.1",
        setup.port,
        setup.load(),
        server_class=WSGIServer,
        handler_class=WebSocketWSGIRequestHandler,
    )
    if context := setup.tls_context():
        server.socket = context.wrap_socket(server.socket, server_side=True)
    exit_on_sigterm()
    try:
        server.serve_forever()
    finally:
        server.server_close()


def _run_gevent(setup: Setup) -> None:
    run(setup, "ws4py_middleware.server.geventserver:WSGIServer")


FAMILY = {
    "ws4py-wsgiref": Kind(run=_run_wsgiref, everywhere=False),
    "ws4py-gevent": Kind(run=_run_gevent, threaded=True, everywhere=False),
    "ws4py-gevent-unpatched": Kind(run=_run_gevent, threaded=True, everywhere=False),
}
