"""gunicorn with one worker of each class."""

from __future__ import annotations

import sys

from tests.servers.kinds import Kind, Setup


def _command(setup: Setup) -> list[str]:
    worker = setup.kind.removeprefix("gunicorn-")
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{setup.port}", "--workers", "1"]
    command += ["--worker-class", worker, "--access-logfile", "-"]
    command += ["--threads", str(setup.threads)] if worker == "gthread" else []
    command += ["--certfile", setup.pem[0], "--keyfile", setup.pem[1]] if setup.pem else []
    command += ["--no-control-socket"] if has_control_socket() else []
    return [*command, *setup.options, setup.app]


def has_control_socket() -> bool:
    """Tell whether this release opens a control socket unless it is told not to."""
    from gunicorn import config

    return hasattr(config, "ControlSocketDisable")


FAMILY = {
    f"gunicorn-{worker}": Kind(command=_command, forks=True, threaded=worker != "sync")
    for worker in ("sync", "gthread", "gevent", "gevent_pywsgi")
}
