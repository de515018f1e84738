"""``serve``: a development server with reload, for a WSGI or an ASGI application."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from werkzeug.serving import is_running_from_reloader, run_simple

from .. import configure_logger
from ..extras import needs
from . import console, supervising
from .applications import ApplicationError, Wanted, application_options, describe_nothing
from .mounted import find_routes, is_asgi

__all__ = ["make_asgi", "serve"]

#: Where :func:`make_asgi` finds the application, in the processes that uvicorn starts at each reload.
WANTED = "WS4PY_MIDDLEWARE_SERVE"

_COLOUR = re.compile(r"\x1b\[[\d;]*m")

_FILE = click.Path(exists=True, dir_okay=False)


@click.command()
@application_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any.")
@click.option(
    "--reload/--no-reload", default=True, show_default=True, help="Start again when a file of it changes."
)
@click.option("--cert", type=_FILE, help="A certificate (PEM): serve https:// and wss://.")
@click.option("--key", type=_FILE, help="Its private key (PEM), where that is not in the same file.")
def serve(wanted: Wanted, host: str, port: int, reload: bool, cert: str | None, key: str | None) -> int:
    """
    Serve an application and its WebSockets while they are developed.

    A WSGI application runs on Werkzeug's server, as under `flask run`; an ASGI one on uvicorn. The log has a
    line for each request and each connection. At a reload open WebSockets are closed with 1012, which
    clients take for "come back", and at the end with 1001. Production has better servers: gunicorn, or the
    one that you have.

    The exit status is 0 after Ctrl-C and SIGTERM, 1 where the address cannot be had, and 2 where the
    application cannot be imported. When a reload finds an error, the server waits for the next change.
    """
    if key and not cert:
        raise click.UsageError("--key needs --cert.")
    address = f"{'wss' if cert else 'ws'}://{host}:{port}" if port else ""
    files: list[str] = []
    try:
        app = wanted.load()
    except ApplicationError as error:
        if not is_running_from_reloader():
            raise
        app, files = _explain(error)
    else:
        if not reload or is_running_from_reloader() or is_asgi(app):
            _introduce(wanted, app, address)
    tls = (cert, key or cert) if cert else None
    if is_asgi(app):
        return _serve_asgi(wanted, host, port, reload, tls)
    return _serve_wsgi(app, host, port, reload, tls, [*files, *map(str, wanted.files)])


def make_asgi() -> Any:
    """Make the application of the command line again, in a process that uvicorn has started."""
    configure_logger()
    return Wanted.read(os.environ[WANTED]).load()


def _serve_wsgi(
    app: Any, host: str, port: int, reload: bool, tls: tuple[str, str] | None, files: list[str]
) -> int:
    configure_logger()
    if not console.has_colour():
        logging.getLogger("werkzeug").addFilter(_without_colour)
    _end_in_order()
    if reload:
        return supervising.run(app, host, port, files=files, tls=tls)
    run_simple(host, port, app, threaded=True, ssl_context=tls)
    return 0


def _without_colour(record: logging.LogRecord) -> bool:
    """Take the colours out, which Werkzeug gives to files, too."""
    record.msg, record.args = _COLOUR.sub("", record.getMessage()), ()
    return True


def _serve_asgi(wanted: Wanted, host: str, port: int, reload: bool, tls: tuple[str, str] | None) -> int:
    with needs("uvicorn", "asgi", "serving an ASGI application"):
        from .reloading import run
    os.environ[WANTED] = wanted.dump()
    cert, key = tls or (None, None)
    _end_in_order()
    return run(
        f"{__name__}:{make_asgi.__name__}",
        watched=wanted.files,
        reload=reload,
        host=host,
        port=port,
        ssl_certfile=cert,
        ssl_keyfile=key,
        use_colors=console.has_colour(),
    )


def _end_in_order() -> None:
    """Exit with 0 at SIGTERM; uvicorn raises it again when it is done, and Werkzeug has nothing for it."""
    # Without a handler the process would be gone at once, and the peers without a Close frame.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _introduce(wanted: Wanted, app: Any, address: str) -> None:
    """Say where the WebSockets are; the servers say where they listen."""
    found = find_routes(app)
    for route in found:
        console.err().print(f"{address}{route.path} is {route.handler_name}")
    if not found:
        console.err().print(describe_nothing(wanted))


def _explain(error: ApplicationError) -> tuple[Callable[..., Iterable[bytes]], list[str]]:
    """
    Return what answers until the application can be imported again, and the files to watch meanwhile.

    What could not be imported is in no list of modules, so its files are those of the traceback.
    """
    cause = error.__cause__
    # Where nothing of the application's has raised an exception, the message is all there is to say.
    text = "\n".join([error.message, *(traceback.format_exception(cause) if cause else ())])
    console.err().print(text)
    files = [frame.filename for frame in traceback.extract_tb(cause.__traceback__)] if cause else []
    if isinstance(cause, SyntaxError) and cause.filename:
        files.append(cause.filename)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode(errors="backslashreplace")]

    return answer, [name for name in files if Path(name).is_file()]
