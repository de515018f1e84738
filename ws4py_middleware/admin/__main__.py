"""
Ask the processes of an application for their WebSockets, and close some.

Exit status: 0, it is done; 1, there was nothing that fits; 2, wrong usage; 3, a process did not answer,
or there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import ENVIRONMENT
from .client import Worker, add_up, find_sockets, list_connections
from .protocol import AdminError
from .tables import escape, show_connections, show_pairs, show_stats

DONE, NOTHING, UNREACHABLE = 0, 1, 3


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ws4py_middleware.admin",
        description=(__doc__ or "").strip().partition("\n")[0],
        epilog=(__doc__ or "").strip().partition("\n\n")[2],
    )
    default = os.environ.get(ENVIRONMENT)
    socket_help = (
        f"the directory of the sockets, one of them, or a path with {{pid}}; by default ${ENVIRONMENT}"
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="write JSON")
    common.add_argument("--socket", metavar="PATH|DIR", default=argparse.SUPPRESS, help=socket_help)
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--socket", metavar="PATH|DIR", default=default, help=socket_help)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|show|close|stats")

    lists = commands.add_parser("list", parents=[common], help="list connections, the oldest first")
    lists.add_argument(
        "--limit", type=_natural, default=100, help="most connections; 0 for all (default 100)"
    )
    _add_filters(lists)
    shows = commands.add_parser("show", parents=[common], help="tell all that is known of one connection")
    shows.add_argument("id", metavar="ID")
    closes = commands.add_parser("close", parents=[common], help="begin the closing handshake")
    closes.add_argument("ids", metavar="ID", nargs="*")
    closes.add_argument("--all", action="store_true", help="of all connections")
    _add_filters(closes)
    closes.add_argument("--code", type=int, default=1000, help="the close code (default 1000)")
    closes.add_argument("--reason", default="", help="what the peer is told, at most 123 bytes")
    commands.add_parser("stats", parents=[common], help="tell the figures of each process, and their sum")
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--route", help='of one route, such as "/chat/<room>"')
    parser.add_argument("--address", help="of one client address, or network such as 203.0.113.0/24")
    parser.add_argument("--room", help="of those in a room")


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


class _Run:
    """One command, asked of all processes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.failures: list[str] = []

    def ask_all(self, ask: Callable[[Worker], Any]) -> list[Any]:
        """Ask each process; those that have ended are left out, others that fail are told of."""
        answers = []
        reached = False
        for path in find_sockets(self.options.socket):
            try:
                with Worker(path) as worker:
                    reached = True
                    answers.append(ask(worker))
            except ConnectionRefusedError:
                continue  # left over by a process that was killed
            except AdminError as error:
                reached = True
                self.failures.append(str(error))
        if not reached:
            self.failures.append(f"nobody listens at {self.options.socket!r}")
        return answers

    @property
    def filters(self) -> dict[str, str | None]:
        return {name: getattr(self.options, name) for name in ("route", "address", "room")}

    def list(self) -> int:
        """List connections."""
        limit = self.options.limit or None
        answers = self.ask_all(lambda worker: list_connections(worker, limit, **self.filters))
        everyone = [each for connections, _ in answers for each in connections]
        everyone.sort(key=lambda each: -each["age"])
        total = sum(count for _, count in answers)
        shown = everyone[:limit]
        lines = show_connections(shown) if shown else ["no connections"]
        if total > len(shown):
            lines.append(f"and {total - len(shown)} more (--limit)")
        self.write({"connections": shown, "total": total}, lines)
        return DONE

    def show(self) -> int:
        """Tell what is known of one connection."""
        answers = self.ask_all(lambda worker: worker.ask("show", id=self.options.id)["connection"])
        found = next((each for each in answers if each is not None), None)
        self.write({"connection": found}, [] if found is None else show_pairs(found))
        return self.found(found is not None, f"there is no connection {self.options.id!r}")

    def close(self) -> int:
        """Begin closing handshakes."""
        options = self.options
        message = {"code": options.code, "reason": options.reason or None}
        if options.ids:
            wanted: list[dict[str, Any]] = [{"id": name} for name in options.ids]
        elif options.all:
            wanted = [{"all": True}]
        else:
            wanted = [self.filters]
        answers = self.ask_all(
            lambda worker: sum(worker.ask("close", **each, **message)["closing"] for each in wanted)
        )
        count = sum(answers)
        self.write({"closing": count}, [f"closing {count} connection{'' if count == 1 else 's'}"])
        return self.found(count >= max(len(options.ids), 1), "there is no such connection")

    def stats(self) -> int:
        """Tell the figures."""
        workers = self.ask_all(lambda worker: worker.ask("stats"))
        whole = add_up([worker["stats"] for worker in workers])
        shown = [{name: each[name] for name in ("pid", "stats", "hubs")} for each in workers]
        self.write({"workers": shown, "all": whole}, show_stats(shown, whole) if shown else [])
        return DONE

    def write(self, values: dict[str, Any], lines: Sequence[str]) -> None:
        """Write what was found; all of it was escaped before, or is JSON."""
        text = [json.dumps(values)] if self.options.json else lines
        for line in text:
            sys.stdout.write(f"{line}\n")

    def found(self, is_found: bool, otherwise: str) -> int:
        """Return the status, and say what is missing."""
        if not is_found and not self.failures:
            _complain(otherwise)
        return DONE if is_found else NOTHING


def _complain(text: str) -> None:
    sys.stderr.write(f"{escape(text)}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit status."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if not options.socket:
        parser.error(f"where are the sockets? --socket, or {ENVIRONMENT} in the environment")
    if options.command == "close":
        filtered = any((options.route, options.address, options.room))
        if bool(options.ids) + options.all + filtered != 1:
            parser.error("close which ones? It is one of IDs, --all, and --route, --address or --room")
    run = _Run(options)
    try:
        status: int = getattr(run, options.command)()
    except AdminError as error:
        run.failures.append(str(error))
        status = UNREACHABLE
    for failure in run.failures:
        _complain(failure)
    return UNREACHABLE if run.failures else status


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # files of text have it
    sys.exit(main())
