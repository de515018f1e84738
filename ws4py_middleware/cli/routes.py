"""``routes``: the WebSockets that an application has, with what holds for each."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..async_websocket import AsyncWebSocket
from ..core.policy import Policy
from ..functions import AsyncFunctionHandler, FunctionHandler
from . import console
from .applications import Wanted, application_options, describe_nothing
from .mounted import MountedRoute, find_routes

__all__ = ["routes"]

#: The exit status when there is nothing to show.
NOTHING = 1


@click.command()
@application_options
@click.option("--all", "show_all", is_flag=True, help="Show every setting, not only those that differ.")
@click.option("--json", "as_json", is_flag=True, help="Write one line of JSON, with every setting.")
def routes(wanted: Wanted, show_all: bool, as_json: bool) -> int:
    """
    Show the WebSocket routes of an application, their handlers, and the settings in force.

    The application is imported and nothing is started. The exit status is 0, or 1 where no route was found,
    or 2 where the application cannot be imported.
    """
    # What its modules print is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        found = find_routes(wanted.load())
    if as_json:
        console.write_json([_as_json(route) for route in found])
    elif found:
        console.print_table(console.out(), _as_table(found, show_all=show_all))
    else:
        console.err().print(describe_nothing(wanted))
    return 0 if found else NOTHING


def get_settings(policy: Policy, *, differing: bool = False) -> dict[str, Any]:
    """Return a policy's settings, or those alone that are not the defaults."""
    settings = {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)}
    if differing:
        default = Policy()
        settings = {name: value for name, value in settings.items() if value != getattr(default, name)}
    return settings


def name_kind(handler: type[Any]) -> str:
    """Say what a handler is, and so where it runs."""
    if issubclass(handler, AsyncFunctionHandler):
        return "async function"
    if issubclass(handler, FunctionHandler):
        return "function"
    return "async class" if issubclass(handler, AsyncWebSocket) else "class"


def _as_table(found: list[MountedRoute], *, show_all: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("path", no_wrap=True)
    table.add_column("handler", overflow="fold")
    table.add_column("kind")
    table.add_column("served by", overflow="fold")
    table.add_column("settings" if show_all else "settings that differ", overflow="fold")
    for route in found:
        settings = get_settings(route.policy, differing=not show_all)
        table.add_row(
            Text(route.path, style="cyan"),
            Text(route.handler_name),
            Text(name_kind(route.handler)),
            Text(" > ".join((*route.behind, route.source))),
            Text("\n".join(f"{name} = {value!r}" for name, value in settings.items()) or "–"),
        )
    return table


def _as_json(route: MountedRoute) -> dict[str, Any]:
    return {
        "path": route.path,
        "handler": route.handler_name,
        "kind": name_kind(route.handler),
        "source": route.source,
        "behind": list(route.behind),
        "sample": route.sample,
        "settings": {name: _plain(value) for name, value in get_settings(route.policy).items()},
    }


def _plain(value: Any) -> Any:
    """Return a setting as JSON can have it; what is neither number nor text is shown as Python writes it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return repr(value)
