"""Examine a server that the doctor starts itself, on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import re
import shlex
import ssl
from collections.abc import Sequence
from time import monotonic

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from ...client.tls import make_context
from ...client.urls import Target
from ...core.events import CloseReceived
from ...exc import HandshakeError
from .findings import Report
from .inside import Facts, RouteFacts
from .missing import find_missing
from .peer import Peer, Place
from .programs import HOST, Command, read_command
from .running import Running, find_program, free_port, has_proc, look_inside, run, wait_until
from .subject import Options, Subject
from .talk import at, check_opening, check_talk, open_again, open_peer, show_ms
from .tls import check_certificate

__all__ = ["examine"]

#: How long a server may take to answer its first request; seconds.
_START_TIME = 30.0

#: How long a process may take to end beside what its connections take; seconds.
_END_TIME = 8.0

#: What is asked for where no route is known.
_USUAL = ("/ws", "/echo", "/websocket", "/chat", "/")

#: Descriptors that a server needs beside its connections.
_OTHER_FILES = 128

#: Shorter than what proxies wait for; seconds.
_LONG_PING = 60.0


def examine(words: Sequence[str], options: Options, setup: str | None = None) -> tuple[Report, str]:
    """
    Start a server, look at it, and end it.

    Args:
        words: Its command, as in a shell.
        setup: What it is called; by default the command.

    Returns:
        What was found, and all that the server has printed.
    """
    report = Report(setup or shlex.join(words))
    command = read_command(words, free_port())
    if find_program(command.words[0]) is None:
        package = command.program.package or command.words[0]
        report.add("program_missing", program=command.words[0], package=f'"{package}"')
        return report, ""
    environ = {"PORT": str(command.port), "HOST": HOST}
    with contextlib.ExitStack() as stack:
        started = monotonic()
        running = stack.enter_context(run(command.words, environ))
        facts = None
        if command.spec:
            facts = stack.enter_context(look_inside(command.spec, command.paths)).result()
        place = _find_place(command, running, options)
        status, problem = (0, "it listens nowhere") if place is None else _wait_ready(place, running)
        has_failed = bool(problem) or (facts is not None and bool(facts.problem) and status >= 500)
        if place is None or has_failed:
            _explain_start(report, command, facts, running, problem)
            return report, running.log
        report.add("started", seconds=f"{monotonic() - started:.1f}")
        facts = None if facts is None or facts.problem else facts
        subject = Subject(report, place, facts, read_log=lambda: running.log)
        subject.app, subject.before_fork = command.app, command.before_fork
        subject.asgi = command.interface == "asgi" or (facts is not None and facts.asgi)
        _look(subject, _with_log(command, running), running, options)
        return report, running.log


def _look(subject: Subject, command: Command, running: Running, options: Options) -> None:
    report = subject.report
    if subject.place.target.port != command.port:
        report.add("listens_elsewhere", address=subject.place.host)
    if not _check_interface(subject, command):
        return
    if not _choose_path(subject, command, options):
        return
    _check_settings(subject, command, running)
    if check_opening(subject) and check_talk(subject):
        if command.secure:
            check_certificate(subject)
        _check_hand_over(subject, running, options.sockets)
        if (last := subject.find_exception()) and not report.has("handler_failed", "server_error"):
            report.add("errors_logged", last=last)
        _check_end(subject, command, running)


def _find_place(command: Command, running: Running, options: Options) -> Place | None:
    host, port = HOST, command.port
    if not command.bound and has_proc():
        # Its own choice: wait until it listens.
        wait_until(lambda: running.ended or bool(running.find_ports()), _START_TIME)
        places = running.find_ports()
        if not places:
            return None
        # Everywhere is here, too.
        host, port = (HOST if places[0][0] == "0.0.0.0" else places[0][0].replace("::", "::1")), places[0][1]
    context = make_context({"cert_reqs": ssl.CERT_NONE}) if command.secure else None
    target = Target("wss" if command.secure else "ws", host, port, None, "/")
    return Place(target, context, options.headers, options.timeout, options.subprotocols)


def _wait_ready(place: Place, running: Running) -> tuple[int, str]:
    """Wait until a page is answered; return with which status, or why it is not."""
    status, problem = 0, "no answer"

    def is_ready() -> bool:
        nonlocal status, problem
        if running.ended:
            problem = f"it has ended with status {running.process.returncode}"
            return True
        try:
            with Peer(place, upgrade=False) as peer:
                status, problem = peer.answer.status, ""
        except (OSError, HandshakeError) as error:
            problem = str(error)
        return status != 0

    wait_until(is_ready, _START_TIME)
    return status, problem


def _explain_start(
    report: Report, command: Command, facts: Facts | None, running: Running, problem: str
) -> None:
    failed = "" if facts is None else facts.problem
    last = running.last_line
    extra = find_missing(failed) or find_missing(last)
    if extra is not None:
        report.add("extra_missing", module=extra[0], package=extra[1], problem=failed or last)
    elif failed:
        module = command.app.partition(":")[0]
        report.add("app_not_imported", app=command.app, module=module, problem=failed)
    else:
        report.add("not_started", problem=problem, last=last)


def _with_log(command: Command, running: Running) -> Command:
    """Add what gunicorn has made of its configuration file."""
    if command.program.name != "gunicorn":
        return command
    found = re.search(r"Using worker: (\S+)", running.log)
    workers = len(re.findall(r"Booting worker with pid", running.log))
    worker = found[1].rpartition(".")[2].lower() if found else command.worker
    return dataclasses.replace(command, worker=worker, workers=max(command.workers, workers))


# --- what is known without asking ----------------------------------------------------------------------


def _check_interface(subject: Subject, command: Command) -> bool:
    facts = subject.facts
    if facts is None or not command.interface:
        return True
    server = command.program.name if command.program.name != "gunicorn" else f"gunicorn {command.worker}"
    if command.interface == "asgi" and not facts.asgi:
        subject.report.add("wsgi_under_asgi", app=command.app, server=server)
        return False
    if command.interface == "wsgi" and facts.asgi:
        subject.report.add("asgi_under_wsgi", app=command.app, server=server)
        return False
    return True


def _choose_path(subject: Subject, command: Command, options: Options) -> bool:
    """Choose what is asked for; return whether there is something."""
    report = subject.report
    routes = [] if subject.facts is None else subject.facts.routes
    if routes:
        report.add("routes", routes=", ".join(f"{route.path} ({route.handler})" for route in routes))
    elif options.path is None:
        report.add("no_routes", app=command.app)
    path = options.path
    if path is None:
        path = next((route.sample for route in routes if route.sample), None)
    if path is None:
        path = _try_usual(subject.place)
        if path is None:
            report.add("no_path", tried=", ".join(_USUAL))
            return False
    subject.route = _find_route(routes, path)
    if subject.route is not None and not subject.place.subprotocols:
        subject.place = dataclasses.replace(subject.place, subprotocols=subject.route.subprotocols)
    subject.place = at(subject.place, path)
    return True


def _find_route(routes: Sequence[RouteFacts], path: str) -> RouteFacts | None:
    path = path.partition("?")[0]
    for route in routes:
        if path == route.sample:
            return route
        adapter = Map([Rule(route.path, endpoint="")], merge_slashes=False).bind("")
        with contextlib.suppress(HTTPException, ValueError):
            adapter.match(path, "GET")
            return route
    return None


def _try_usual(place: Place) -> str | None:
    for path in _USUAL:
        with contextlib.suppress(OSError, HandshakeError), Peer(at(place, path)) as peer:
            if peer.is_open:
                return path
    return None


def _check_settings(subject: Subject, command: Command, running: Running) -> None:
    report, facts, route = subject.report, subject.facts, subject.route
    if facts is not None:
        _check_build(report, facts)
        _check_gevent(report, facts, command)
        if command.workers > 1 and not facts.backplane:
            report.add("workers_alone", count=command.workers)
    if command.is_single and not subject.asgi:
        report.add("one_at_a_time", do=command.program.more)
    if route is None:
        return
    if route.settings:
        settings = ", ".join(f"{name}={value}" for name, value in route.settings.items())
        report.add("settings", path=route.path, settings=settings)
    if not subject.asgi and (route.ping_interval is None or route.ping_interval >= _LONG_PING):
        report.add("no_ping_interval", interval=route.ping_interval)
    limit, connections = running.descriptor_limit(), route.max_connections
    if limit is not None and connections is not None and limit < connections + _OTHER_FILES:
        wanted = connections + 1024
        fitting = max(1, limit - _OTHER_FILES)
        report.add("few_descriptors", limit=limit, connections=connections, wanted=wanted, fitting=fitting)


def _check_build(report: Report, facts: Facts) -> None:
    if facts.pure:
        report.add("pure_build", reason="WS4PY_MIDDLEWARE_PURE asks for it")
    elif not facts.compiled and platform.python_implementation() == "CPython":
        report.add("pure_build", reason="nothing could be compiled where it was installed")


def _check_gevent(report: Report, facts: Facts, command: Command) -> None:
    if "gevent" not in command.worker or facts.patched:
        return
    if command.program.name == "gunicorn" and command.preload:
        do = "leave --preload away, or begin the application with: import gevent.monkey as m; m.patch_all()"
        report.add("gevent_unpatched", app=command.app, do=do)
    elif command.program.name == "uwsgi" and not command.has(
        "--gevent-monkey-patch", "--gevent-early-monkey-patch"
    ):
        do = "start uWSGI with --gevent-early-monkey-patch"
        report.add("gevent_unpatched", app=command.app, do=do)


# --- what takes many sockets, or the end ---------------------------------------------------------------


def _check_hand_over(subject: Subject, running: Running, count: int) -> None:
    route = subject.route
    if route is not None and route.connections is not None:
        count = max(1, min(count, route.connections - 1))
    before = running.count_threads()
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(count):
                stack.enter_context(open_again(subject))
        except HandshakeError as error:
            subject.report.add("limited", status=error.status, text=error.msg)
            return
        except OSError as error:
            subject.report.add("bad_handshake", problem=error)
            return
        started = monotonic()
        try:
            stack.enter_context(Peer(at(subject.place, "/"), upgrade=False))
        except (OSError, HandshakeError):
            subject.report.add("worker_held", count=count, seconds=f"{subject.place.timeout:g}")
            return
        ms = show_ms(monotonic() - started)
        after = running.count_threads()
        held = None if before is None or after is None else max(0, after - before)
        subject.report.add("handed_over", count=count, ms=ms, threads="?" if held is None else held)
        is_function = route is not None and route.is_function
        if held is not None and count > 1 and held >= count / 2 and (is_function or not subject.asgi):
            subject.report.add("threads_held", count=count, threads=held)


def _check_end(subject: Subject, command: Command, running: Running) -> None:
    report = subject.report
    peer = open_peer(subject)
    if peer is None:
        return
    limit = _END_TIME + (0 if subject.route is None else subject.route.drain)
    with peer:
        processes = set(running.pids())
        started = monotonic()
        running.terminate()
        event = peer.wait(CloseReceived, timeout=limit)
        seconds = monotonic() - started
        code = event.code if isinstance(event, CloseReceived) else None
        if code is not None:
            peer.send_close(code if code < 3000 else 1000)
    wait_until(lambda: running.ended or bool(set(running.pids()) - processes), limit)
    closed = "" if code is None else f" (after it has closed the socket with {code})"
    if not running.ended:
        known = set(running.pids()) - processes
        name = "sigterm_reloads" if known else "drain_late"
        report.add(name, seconds=f"{limit:g}", closed=closed, do=command.program.ending)
    elif code is None:
        report.add("drain_silent", do=command.program.ending)
    elif code in (1001, 1012):
        end = monotonic() - started
        report.add("drain", code=code, seconds=f"{seconds:.1f}", end=f"{end:.1f}")
    else:
        report.add("drain_other", code=code)
