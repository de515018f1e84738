"""
The application that a command is about: ``module:app`` or ``module:create_app()``, and the routes that are
put in front of it.

::

    @click.command()
    @application_options
    def command(wanted: Wanted) -> None:
        app = wanted.load()
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ..config import ConfigError, find_file, websockets_from_config
from .factories import load_app

__all__ = ["ApplicationError", "Wanted", "application_options"]


class ApplicationError(click.UsageError):
    """The application, or a route, is not there or is wrong; the exit status is 2."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the command line has said of the application."""

    #: ``"module:app"``, ``"module:create_app()"``, or ``None``: there are only the routes.
    app: str | None = None
    #: Path → ``"module:Handler"``.
    routes: dict[str, str] = dataclasses.field(default_factory=dict)
    #: A TOML file, as :func:`~ws4py_middleware.config.websockets_from_config` reads it.
    config: str | None = None

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return self.app or self.config or "the routes"

    @property
    def files(self) -> list[Path]:
        """What it is made of beside modules."""
        return [] if self.config is None else [find_file(Path(self.config)).absolute()]

    def load(self) -> Any:
        """
        Import the application or have it made, and put the routes in front of it.

        Returns:
            A WSGI or an ASGI application.

        Raises:
            ApplicationError: It cannot be imported or made, or a route or the configuration is wrong. The
                cause is what its module or its factory raised, if it did.
        """
        if "" not in sys.path:
            sys.path.insert(0, "")  # as python -m has it; the program's script does not
        try:
            app: Any = load_app(self.app) if self.app else not_found
        except ValueError as error:
            raise ApplicationError(str(error)) from error.__cause__
        try:
            if self.config is not None:
                app = websockets_from_config(app, self.config)
            if self.routes:
                app = websockets_from_config(app, {"routes": self.routes})
        except ConfigError as error:
            raise ApplicationError(str(error)) from error.__cause__
        return app

    def dump(self) -> str:
        """Write it down for another process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, text: str) -> Wanted:
        """Read what :meth:`dump` has written."""
        return cls(**json.loads(text))


def not_found(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer what is on no route, where there are only routes."""
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"There are only WebSocket routes here.\n"]


def _split(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    routes: dict[str, str] = {}
    for value in values:
        # A path may have a "=" in it, as in <int(min=1):number>; an import path has none.
        path, separator, handler = value.rpartition("=")
        if not separator or not path.startswith("/") or ":" not in handler:
            raise click.BadParameter(f"{value!r} is no route; one is /chat/<room>=chat.handlers:Chat")
        if path in routes:
            raise click.BadParameter(f"{path} is given twice")
        routes[path] = handler
    return routes


def application_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and options that make a :class:`Wanted`, its first argument."""

    @click.argument("app", required=False, metavar="[MODULE:APP | MODULE:FACTORY()]")
    @click.option(
        "-r",
        "--route",
        "routes",
        multiple=True,
        callback=_split,
        metavar="PATH=MODULE:HANDLER",
        help="Put a WebSocket in front of it: /chat/<room>=chat.handlers:Chat. May be given again.",
    )
    @click.option(
        "-c",
        "--config",
        type=click.Path(exists=True),
        help="Put those of a file in front of it: ws4py_middleware.toml.",
    )
    @functools.wraps(function)
    def command(app: str | None, routes: dict[str, str], config: str | None, **options: Any) -> Any:
        if app is None and not routes and config is None:
            raise click.UsageError("Name an application (module:app), a --route, or a --config.")
        return function(Wanted(app, routes, config), **options)

    return command


def describe_nothing(wanted: Wanted) -> str:
    """Say that an application has no route, and how it comes to one."""
    return (
        f"No WebSocket routes were found in {wanted.title}. What views return by upgrade() is not seen from"
        " here; --route /ws=module:Handler adds one."
    )
