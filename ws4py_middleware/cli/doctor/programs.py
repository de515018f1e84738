"""
The server programs that the doctor knows: how each is put on loopback, and what its command line says.

A program that is not in the table is started as it stands: ``{port}`` in its words is filled in, ``PORT`` and
``HOST`` are in its environment, and where it listens is found out afterwards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["APP", "HOST", "PROGRAMS", "Command", "Program", "read_command"]

HOST = "127.0.0.1"

_ON_EXIT = "put signal.signal(signal.SIGTERM, lambda *_: sys.exit()) where the server is started"
_UWSGI_END = 'start uWSGI with --hook-master-start "unix_signal:15 gracefully_kill_them_all"'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A server program."""

    name: str
    #: What pip installs.
    package: str = ""
    #: Its names behind ``python -m``.
    modules: tuple[str, ...] = ()
    #: What its applications are: ``"wsgi"``, ``"asgi"`` or ``""`` where that depends.
    interface: str = ""
    #: What puts it on loopback.
    bind: tuple[str, ...] = ()
    #: Options with a value that are taken out: those of the address, and of what would be in the way.
    dropped: tuple[str, ...] = ()
    #: Options without a value that are taken out.
    dropped_flags: tuple[str, ...] = ()
    #: It wants the new options behind all others.
    at_end: bool = False
    #: Options that say that it speaks TLS.
    tls: tuple[str, ...] = ()
    #: What makes it answer several requests at a time.
    more: str = ""
    #: What makes it say goodbye on SIGTERM.
    ending: str = "see docs/howto/deploying.md"


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name="gunicorn",
            package="ws4py_middleware[gunicorn]",
            modules=("gunicorn", "gunicorn.app.wsgiapp"),
            bind=("--bind", "{host}:{port}"),
            dropped=("-b", "--bind", "-p", "--pid"),
            dropped_flags=("-D", "--daemon", "--reload"),
            tls=("--certfile", "--keyfile"),
            more="run gunicorn -k gthread --threads 8, or -k gevent",
        ),
        Program(
            name="uvicorn",
            package="uvicorn",
            modules=("uvicorn",),
            interface="asgi",
            bind=("--host", "{host}", "--port", "{port}"),
            dropped=("--host", "--port", "--uds", "--fd"),
            dropped_flags=("--reload",),
            tls=("--ssl-certfile", "--ssl-keyfile"),
        ),
        Program(
            name="hypercorn",
            package="hypercorn",
            modules=("hypercorn",),
            interface="asgi",
            bind=("--bind", "{host}:{port}"),
            dropped=("-b", "--bind", "--insecure-bind", "--quic-bind", "-p", "--pid"),
            dropped_flags=("-D", "--daemon", "--reload"),
            tls=("--certfile", "--keyfile"),
        ),
        Program(
            name="daphne",
            package="daphne",
            modules=("daphne",),
            interface="asgi",
            bind=("-b", "{host}", "-p", "{port}"),
            dropped=("-b", "--bind", "-p", "--port", "-u", "--unix-socket", "--fd"),
        ),
        Program(
            name="granian",
            package="granian",
            modules=("granian",),
            interface="asgi",
            bind=("--host", "{host}", "--port", "{port}"),
            dropped=("--host", "--port", "--uds"),
            dropped_flags=("--reload",),
            tls=("--ssl-certificate", "--ssl-keyfile"),
        ),
        Program(
            name="waitress-serve",
            package="waitress",
            modules=("waitress",),
            interface="wsgi",
            bind=("--listen={host}:{port}",),
            dropped=("--listen", "--host", "--port", "--unix-socket"),
            more="run waitress-serve --threads=8",
            ending=_ON_EXIT,
        ),
        Program(
            name="cheroot",
            package="ws4py_middleware[cherrypy]",
            modules=("cheroot",),
            interface="wsgi",
            bind=("--bind", "{host}:{port}"),
            dropped=("--bind",),
            at_end=True,
            ending=_ON_EXIT,
        ),
        Program(
            name="uwsgi",
            package="uwsgi",
            interface="wsgi",
            tls=("--https",),
            more="start uWSGI with --threads 8",
            ending=_UWSGI_END,
        ),
        Program(
            name="flask",
            package="ws4py_middleware[flask]",
            modules=("flask",),
            interface="wsgi",
            bind=("--host", "{host}", "--port", "{port}", "--no-reload"),
            dropped=("-h", "--host", "-p", "--port"),
            dropped_flags=("--reload",),
            at_end=True,
            tls=("--cert",),
            more="leave --without-threads away",
            ending="it is a server for development: deploy with gunicorn -k gthread",
        ),
        Program(
            name="manage.py",
            package="ws4py_middleware[django]",
            interface="wsgi",
            bind=("{host}:{port}", "--noreload"),
            at_end=True,
            ending="it is a server for development: deploy with gunicorn -k gthread",
        ),
        Program(
            name="ws4py-middleware",
            package="ws4py_middleware[cli]",
            modules=("ws4py_middleware",),
            bind=("--host", "{host}", "--port", "{port}", "--no-reload"),
            dropped=("--host", "-p", "--port"),
            dropped_flags=("--reload",),
            at_end=True,
            tls=("--cert",),
        ),
    )
}

#: A program of which nothing is known.
_OTHER = Program(name="", ending=_ON_EXIT)

#: An application as servers name it, or a factory.
APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(.*\))?", re.DOTALL)
_GUARD = re.compile(r"""^if __name__ == ["']__main__["']:""", re.MULTILINE)
_MODULE = re.compile(r"[A-Za-z_][\w.]*")
_ADDRESS = re.compile(r"(?:\S*:)?\d+")
_UWSGI_SOCKETS = ("http", "http-socket", "http11-socket", "https", "socket", "s", "uwsgi-socket")


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line, made ready to be run on loopback."""

    program: Program
    words: tuple[str, ...]
    port: int
    secure: bool = False
    #: Worker class, number of processes and threads of gunicorn and the like, as far as they are said.
    worker: str = ""
    workers: int = 1
    threads: int = 1
    preload: bool = False
    #: What :mod:`.inside` is to look at; empty where that is not known.
    spec: str = ""
    #: Its name for people.
    app: str = "the application"
    #: Where the server looks for modules, beside the current folder.
    paths: tuple[str, ...] = ()
    #: Its address is our choice.
    bound: bool = True

    @property
    def interface(self) -> str:
        """What the server calls: ``"wsgi"``, ``"asgi"``, or ``""`` where that is not known."""
        if self.program.name == "gunicorn":
            return "asgi" if self.worker == "asgi" or "uvicorn" in self.worker.lower() else "wsgi"
        return self.program.interface

    @property
    def before_fork(self) -> str:
        """What makes the server import the application before it forks, as its command line says it."""
        return "--master, without --lazy-apps," if self.program.name == "uwsgi" else "--preload"

    @property
    def is_single(self) -> bool:
        """Whether it answers one request at a time."""
        if self.workers > 1 or not self.program.more:
            return False
        if self.program.name == "flask":
            return self.has("--without-threads")
        if self.program.name == "waitress-serve":
            return self.threads == 1 and self.has("--threads")
        return self.threads == 1 and self.worker in ("", "sync")

    def has(self, *names: str) -> bool:
        """Tell whether an option is there."""
        return _has(self.words, *names)


def read_command(words: Sequence[str], port: int) -> Command:
    """
    Make a command ready to be run on loopback.

    Args:
        words: As in a shell: the program, its options and arguments.
        port: A free one.

    >>> command = read_command(["uvicorn", "--port", "80", "--ssl-certfile", "cert.pem", "shop:app"], 8123)
    >>> " ".join(command.words), command.spec, command.secure
    ('uvicorn --host 127.0.0.1 --port 8123 --ssl-certfile cert.pem shop:app', 'object:shop:app', True)
    """
    program, head, rest = _split(list(words))
    if program.name == "uwsgi":
        return _read_uwsgi(program, head, rest, port)
    fill = {"host": HOST, "port": str(port)}
    for name in program.dropped:
        rest = _drop(rest, name)
    if program.name == "daphne" and _has(rest, "-e", "--endpoint"):
        return _finish(program, head, _move_endpoints(rest, port), port, secure="ssl" in " ".join(rest))
    rest = [word for word in rest if word not in program.dropped_flags]
    if program.name == "manage.py":
        rest = [word for word in rest if not _ADDRESS.fullmatch(word)]
    added = [word.format(**fill) for word in program.bind]
    if program.name == "gunicorn" and _has_control_socket():
        added.append("--no-control-socket")
    rest = rest + added if program.at_end else added + rest
    bound = bool(program.bind)
    if not bound:
        bound = any("{port}" in word for word in rest)
        rest = [word.replace("{port}", str(port)).replace("{host}", HOST) for word in rest]
    return _finish(program, head, rest, port, secure=_has(rest, *program.tls), bound=bound)


def _split(words: list[str]) -> tuple[Program, list[str], list[str]]:
    """Find the program; return it, the words that start it, and the others."""
    name = Path(words[0]).name
    if name in PROGRAMS:
        return PROGRAMS[name], words[:1], words[1:]
    if re.fullmatch(r"python[\d.]*|pypy[\d.]*", name):
        at = 1
        while at < len(words) and words[at] in ("-u", "-O", "-I", "-B", "-E", "-s"):
            at += 1
        if words[at : at + 1] == ["-m"]:
            module = "".join(words[at + 1 : at + 2])
            for program in PROGRAMS.values():
                if module in program.modules:
                    return program, words[: at + 2], words[at + 2 :]
        elif Path("".join(words[at : at + 1])).name == "manage.py":
            return PROGRAMS["manage.py"], words[: at + 1], words[at + 1 :]
    elif name == "manage.py":
        return PROGRAMS[name], words[:1], words[1:]
    return _OTHER, words[:1], words[1:]


def _finish(
    program: Program, head: list[str], rest: list[str], port: int, *, secure: bool, bound: bool = True
) -> Command:
    spec, app = _find_app(program, head, rest)
    worker = _value(rest, "-k", "--worker-class") or "sync"
    threads = _number(rest, "--threads")
    if program.name == "gunicorn" and worker == "sync" and threads > 1:
        worker = "gthread"
    default = int(os.environ.get("WEB_CONCURRENCY") or 1) if program.name in ("gunicorn", "uvicorn") else 1
    paths = [_value(rest, "--chdir"), *_value(rest, "--pythonpath").split(","), _value(rest, "--app-dir")]
    return Command(
        program,
        (*head, *rest),
        port,
        secure,
        worker if program.name == "gunicorn" else "",
        _number(rest, "-w", "--workers", default=default),
        threads,
        _has(rest, "--preload"),
        spec,
        app,
        tuple(path for path in paths if path),
        bound,
    )


def _find_app(program: Program, head: list[str], rest: list[str]) -> tuple[str, str]:
    """Find the application that a command line names; return how it is loaded, and its name."""
    if program.name == "flask":
        name = _value(rest, "-A", "--app") or os.environ.get("FLASK_APP", "")
        return f"flask:{name}", name or "the application"
    if program.name == "manage.py":
        settings = _value(rest, "--settings") or os.environ.get("DJANGO_SETTINGS_MODULE", "")
        settings = settings or _read_settings(head[-1])
        return (f"django:{settings}", settings) if settings else ("", "the project")
    if not program.name:
        return _find_script(rest)
    named = [word for word in rest if APP.fullmatch(word)]
    if named:
        call = "()" if _has(rest, "--factory") and not named[-1].endswith(")") else ""
        return f"object:{named[-1]}{call}", named[-1]
    if program.name == "gunicorn" and rest and _MODULE.fullmatch(rest[-1]):
        return f"object:{rest[-1]}:application", f"{rest[-1]}:application"
    return "", "the application"


def _read_settings(path: str) -> str:
    """Find the settings in a manage.py as Django writes it."""
    text = ""
    with contextlib.suppress(OSError):
        text = Path(path).read_text("utf-8", "replace")
    found = re.search(r"""DJANGO_SETTINGS_MODULE["'], *["']([\w.]+)""", text)
    return found[1] if found else ""


def _find_script(words: list[str]) -> tuple[str, str]:
    """Find the file of a program in Python that can be imported without starting it."""
    files = [word for word in words if word.endswith(".py")]
    if words[:1] == ["-m"]:
        files = [f"{name.replace('.', '/')}.py" for name in words[1:2]]
    for name in files[:1]:
        with contextlib.suppress(OSError):
            if _GUARD.search(Path(name).read_text("utf-8", "replace")):
                return f"script:{name}", name
    return "", "the application"


# --- uWSGI ---------------------------------------------------------------------------------------------


def _read_uwsgi(program: Program, head: list[str], rest: list[str], port: int) -> Command:
    words: list[str] = []
    bound = False
    pending = iter(_unjoin(rest))
    for word in pending:
        name = word.lstrip("-")
        if word.startswith("-") and name in _UWSGI_SOCKETS:
            address = next(pending, "")
            _, comma, files = address.partition(",")
            if bound:
                continue
            bound = True
            spoken = word if "http" in name else "--http-socket"
            words += [spoken, f"{HOST}:{port}{comma}{files}"]
        else:
            words.append(word)
    module = _value(words, "-w", "--module", "--wsgi")
    file = _value(words, "--wsgi-file")
    spec = app = ""
    if module:
        app = module if ":" in module else f"{module}:application"
        spec = f"object:{app}"
    elif file:
        app = f"{file}:{_value(words, '--callable') or 'application'}"
        spec = f"file:{app}"
    paths = [_value(words, "--chdir"), _value(words, "--pythonpath", "--pp")]
    return Command(
        program,
        (*head, *words),
        port,
        _has(words, "--https"),
        "gevent" if _has(words, "--gevent") else "",
        _number(words, "-p", "--processes", "--workers"),
        _number(words, "--threads", default=int(_value(words, "--gevent") or 1)),
        _has(words, "--master", "-M") and not _has(words, "--lazy-apps", "--lazy"),
        spec,
        app or "the application",
        tuple(path for path in paths if path),
        bound,
    )


# --- words ---------------------------------------------------------------------------------------------


def _unjoin(words: Sequence[str]) -> list[str]:
    """Split ``--name=value``."""
    return [
        part
        for word in words
        for part in (word.split("=", 1) if re.match(r"--[a-z][\w-]*=", word) else [word])
    ]


def _value(words: Sequence[str], *names: str) -> str:
    found = ""
    split = _unjoin(words)
    for at, word in enumerate(split):
        if word in names and at + 1 < len(split):
            found = split[at + 1]
        for name in names:
            if len(name) == 2 and len(word) > 2 and _is_joined(word, name):
                found = word[2:]
    return found


def _number(words: Sequence[str], *names: str, default: int = 1) -> int:
    value = _value(words, *names)
    return int(value) if value.isdecimal() else default


def _has(words: Sequence[str], *names: str) -> bool:
    return any(word in names for word in _unjoin(words))


def _drop(words: Sequence[str], name: str) -> list[str]:
    """Take an option and its value out."""
    kept: list[str] = []
    pending = iter(words)
    for word in pending:
        if word == name:
            next(pending, None)
        elif not _is_joined(word, name):
            kept.append(word)
    return kept


def _is_joined(word: str, name: str) -> bool:
    """Tell whether a word is an option with its value: ``--bind=X``, ``-bX``."""
    if name.startswith("--"):
        return word.startswith(f"{name}=")
    return word.startswith(name) and not word.startswith("--")


def _move_endpoints(words: Sequence[str], port: int) -> list[str]:
    """Put the endpoints of Twisted's on loopback."""
    moved = [re.sub(r"^(ssl|tcp):\d+", rf"\g<1>:{port}", word) for word in words]
    endpoints = r"^(ssl|tcp):.*"
    return [
        f"{word}:interface={HOST}" if re.match(endpoints, word) and "interface=" not in word else word
        for word in moved
    ]


def _has_control_socket() -> bool:
    """Tell whether this gunicorn opens a control socket unless it is told not to."""
    try:
        from gunicorn import config
    except ImportError:
        return False
    return hasattr(config, "ControlSocketDisable")
