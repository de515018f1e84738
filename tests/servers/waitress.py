"""waitress: a loop in the main thread, applications in others."""

from __future__ import annotations

from tests.servers.kinds import Kind, Setup, exit_on_sigterm


def _run(setup: Setup) -> None:
    from waitress import serve

    exit_on_sigterm()
    settings = dict(option.split("=", 1) for option in setup.options)
    serve(setup.load(), host="127.0.0.1", port=setup.port, threads=setup.threads, **settings)


FAMILY = {"waitress": Kind(run=_run, tls=False, threaded=True, access_log=False)}
