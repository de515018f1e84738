"""The set-ups that the doctor is shown, and what it has to find there: warnings and problems."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers import ROOT
from ws4py_middleware.cli.doctor.findings import Finding, Report
from ws4py_middleware.cli.doctor.kinds import Level
from ws4py_middleware.cli.doctor.server import examine
from ws4py_middleware.cli.doctor.subject import Options

APPS = "tests.cli.doctor.apps:"
#: A container has a few hundred descriptors at least; ours are to be found too few.
FEW_DESCRIPTORS = 512

_IN_ORDER = ("--master", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
_UWSGI = ("uwsgi", "--home", sys.prefix, "--need-app")


@dataclasses.dataclass(frozen=True)
class Setup:
    """A command, and what is wrong with it."""

    words: Sequence[str]
    #: The codes of the warnings and problems, in any order.
    expected: frozenset[str]
    #: Options of the doctor.
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    descriptors: int | None = None
    #: A package that is not installed.
    missing: str = ""


def _make(command: str, *expected: str, more: Sequence[str] = (), **options: Any) -> Setup:
    words = [*more, *command.split()] if command.startswith("-") else [*command.split(), *more]
    return Setup(words, frozenset(expected), options)


def make_setups(cert: str, key: str) -> dict[str, Setup]:
    """Make the table; the files are a certificate for 127.0.0.1."""
    app = f"{APPS}healthy"
    return {
        # --- healthy ---------------------------------------------------------------------------
        "gunicorn gthread": _make(f"gunicorn -b 0.0.0.0:80 -k gthread --threads 4 {app}"),
        "gunicorn gevent": _make(f"gunicorn -k gevent {app}"),
        "gunicorn with TLS": _make(f"gunicorn -k gthread --certfile {cert} --keyfile {key} {app}"),
        "uvicorn": _make(f"uvicorn {APPS}loop"),
        "uwsgi": _make(f"--http-socket :8000 --threads 4 -w {app}", more=(*_UWSGI, *_IN_ORDER)),
        "python -m hypercorn": _make(f"{sys.executable} -m hypercorn {APPS}loop"),
        # --- what stands in the way of the hand-over -------------------------------------------
        "an input of somebody else": _make(f"gunicorn {APPS}hidden", "input_replaced"),
        "uwsgi, its router": _make(f"--http :8000 --threads 2 -w {app}", "uwsgi_router", more=_UWSGI),
        "uwsgi without threads": _make(
            "--http-socket :8000 -w tests.cli.doctor.older_uwsgi:app", "uwsgi_threads", more=_UWSGI
        ),
        "WSGI under ASGI": _make(f"uvicorn {app}", "wsgi_under_asgi"),
        "ASGI under WSGI": _make(f"gunicorn -k gthread {APPS}loop", "asgi_under_wsgi"),
        "uvicorn without a library": _make(f"uvicorn --ws none {APPS}loop", "library_missing"),
        # --- nobody serves, or not long --------------------------------------------------------
        "a preloaded manager": _make(
            "gunicorn --preload -k gthread tests.cli.doctor.preloaded:make()",
            "preloaded_manager",
            timeout=2.0,
        ),
        "a handler that fails": _make(f"gunicorn -k gthread {APPS}failing", "handler_failed"),
        "a handler that leaves": _make(f"gunicorn -k gthread {APPS}leaving", "closed_at_once"),
        # --- the handshake ---------------------------------------------------------------------
        "another path": _make(f"gunicorn {app}", "route_not_found", path="/nowhere"),
        "who may connect": _make(f"gunicorn {APPS}guarded", "not_allowed"),
        # --- settings --------------------------------------------------------------------------
        "no limits": _make(
            f"gunicorn -k gthread {APPS}careless", "origin_open", "limit_off", "no_ping_interval"
        ),
        "gevent, preloaded": _make(f"gunicorn -k gevent --preload {app}", "gevent_unpatched"),
        "the pure build": dataclasses.replace(
            _make(f"gunicorn -k gthread {app}", "pure_build"), env={"WS4PY_MIDDLEWARE_PURE": "1"}
        ),
        "few handshakes": _make(f"gunicorn -k gthread {APPS}limited"),
        "functions": _make(f"gunicorn -k gthread {APPS}threads", "threads_held"),
        "few descriptors": dataclasses.replace(
            _make(f"gunicorn -k gthread {APPS}many"), descriptors=FEW_DESCRIPTORS
        ),
        # --- the end ---------------------------------------------------------------------------
        "waitress": _make(f"waitress-serve {app}", "drain_silent"),
        "uwsgi that reloads": _make(
            f"--http-socket :8000 --threads 2 -w {app}", "sigterm_reloads", more=(*_UWSGI, "--master")
        ),
        "a script": _make(f"{sys.executable} -m tests.cli.doctor.script", "drain_silent"),
        "a script with a port of its own": _make(
            f"{sys.executable} -m tests.cli.doctor.script 0", "listens_elsewhere", "drain_silent"
        ),
        "a program of no WebSockets": _make(
            f"{sys.executable} -m http.server {{port}}", "no_routes", "no_path"
        ),
        # --- the beginning ---------------------------------------------------------------------
        "no program": _make(f"gunicorm -k gthread {app}", "program_missing"),
        "no gevent": dataclasses.replace(
            _make(f"gunicorn -k gevent {app}", "extra_missing"),
            missing="gevent",
        ),
        "no application": _make(f"gunicorn {APPS}nothing", "app_not_imported"),
        "no worker": _make(f"gunicorn -k no_such_worker {app}", "not_started"),
    }


def run_doctor(setup: Setup) -> Report:
    """Run the doctor: here, or where the set-up needs another environment in a process of its own."""
    if not setup.env and setup.descriptors is None and not setup.missing:
        return examine(setup.words, Options(**setup.options))[0]
    with tempfile.TemporaryDirectory() as folder:
        if setup.missing:
            text = f"raise ModuleNotFoundError('No module named {setup.missing}', name={setup.missing!r})\n"
            Path(folder, f"{setup.missing}.py").write_text(text)
        return _run_program(setup, folder)


def _run_program(setup: Setup, folder: str) -> Report:
    doctor = [sys.executable, "-m", "ws4py_middleware", "doctor", "--json", *setup.words]
    if setup.descriptors is not None:
        doctor = ["sh", "-c", f'ulimit -n {setup.descriptors} && exec "$@"', "sh", *doctor]
    done = subprocess.run(
        doctor,
        env={**os.environ, **setup.env, "PYTHONPATH": folder},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    [found] = json.loads(done.stdout)
    findings = [Finding(**{**each, "level": Level(each["level"])}) for each in found["findings"]]
    return Report(found["setup"], findings)
