"""The command ``doctor``, as the command line has it."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import click

from .. import console
from ..options import Header, Seconds
from . import server, site
from .candidates import list_commands
from .findings import Report, is_healthy
from .programs import APP
from .running import look_inside
from .subject import Options
from .tables import print_reports

__all__ = ["doctor"]

_URL = re.compile(r"(wss?|https?|wss?\+unix)://", re.IGNORECASE)

#: How many servers are looked at at a time.
_AT_ONCE = 2

_SECONDS = Seconds(zero=False)


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("-p", "--path", help="The path to ask for; by default the first route that is found.")
@click.option(
    "-H", "--header", "headers", type=Header(), multiple=True, metavar="'NAME: VALUE'", help="Send a header."
)
@click.option("-s", "--subprotocol", "subprotocols", multiple=True, help="Offer a subprotocol.")
@click.option("--timeout", type=_SECONDS, default=5.0, show_default=True, help="Seconds for each answer.")
@click.option(
    "--sockets",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many are open at once, for a server that is started here.",
)
@click.option("--idle", type=_SECONDS, metavar="SECONDS", help="Watch a silent connection for so long (URL).")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="Believe these authorities (URL).")
@click.option("--insecure", is_flag=True, help="Take any certificate (URL).")
@click.option("--quiet", is_flag=True, help="Show only warnings and problems.")
@click.option("--strict", is_flag=True, help="Warnings are problems, too.")
@click.option("--show-log", is_flag=True, help="Print what the server has printed, to the standard error.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON: a list of reports.")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND... | MODULE:APP | URL")
def doctor(
    words: tuple[str, ...], quiet: bool, strict: bool, show_log: bool, as_json: bool, **chosen: object
) -> int:
    """
    Say what works of WebSockets on a server, and what to do about what does not.

    \b
    doctor gunicorn -k gthread app:app   starts this command on loopback and looks at it
    doctor app:app                       tries the servers that are installed, one by one
    doctor wss://example.com/chat        looks at a site from outside

    Options of the doctor come first. A program that it does not know gets its port by {port} among its words,
    or in the variable PORT. The exit status is 0 when nothing is bad, 1 when something is, and 2 on wrong
    usage.
    """  # noqa: D301 - click wants that character
    options = Options(**chosen)  # type: ignore[arg-type]  # click has checked them
    if len(words) == 1 and _URL.match(words[0]):
        reports = [_look_at_site(words[0], options)]
    else:
        if options.idle is not None or options.ca is not None or options.insecure:
            raise click.UsageError("--idle, --ca and --insecure are for a URL")
        reports = []
        with _ends_in_order():
            for report, log in _look_at_servers(words, options):
                reports.append(report)
                if show_log:
                    console.err().print(log, style="dim")
    if as_json:
        console.write_json([report.as_json() for report in reports])
    else:
        print_reports(console.out(), reports, quiet=quiet)
    return 0 if is_healthy(reports, strict=strict) else 1


@contextlib.contextmanager
def _ends_in_order() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, so that no server is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _look_at_site(url: str, options: Options) -> Report:
    try:
        return site.examine(url, options)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None


def _look_at_servers(words: Sequence[str], options: Options) -> Iterator[tuple[Report, str]]:
    if len(words) > 1 or not APP.fullmatch(words[0]):
        yield server.examine(words, options)
        return
    app = words[0]
    with look_inside(f"object:{app}", ()) as inspection:
        facts = inspection.result()
    if facts.problem:
        report = Report(app)
        report.add("app_not_imported", app=app, module=app.partition(":")[0], problem=facts.problem)
        yield report, ""
        return
    commands = list_commands(app, asgi=facts.asgi)
    if not commands:
        raise click.UsageError('there is no server to try it on: pip install "ws4py_middleware[gunicorn]"')

    def look(title: str, command: Sequence[str]) -> tuple[Report, str]:
        return server.examine(command, options, title)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            yield from pool.map(look, *zip(*commands, strict=True))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
