"""Cheroot, CherryPy's server, alone; it has an adapter for each of two TLS libraries."""

from __future__ import annotations

from tests.servers.kinds import Kind, Setup, exit_on_sigterm


def _run(setup: Setup) -> None:
    from cheroot.server import get_ssl_adapter_class
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", setup.port), setup.load(), numthreads=setup.threads, max=setup.threads)
    if setup.pem:
        adapter = "pyopenssl" if setup.kind.endswith("pyopenssl") else "builtin"
        server.ssl_adapter = get_ssl_adapter_class(adapter)(*setup.pem)
    exit_on_sigterm()
    try:
        server.start()
    finally:
        server.stop()


FAMILY = {
    "cheroot": Kind(run=_run, threaded=True, access_log=False),
    "cheroot-pyopenssl": Kind(run=_run, threaded=True, access_log=False, plain=False),
}
