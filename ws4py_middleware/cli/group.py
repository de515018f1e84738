"""The table of commands; each is loaded when it is asked for."""

from __future__ import annotations

import platform
from importlib import import_module
from importlib.util import find_spec

import click

from .. import _build
from .._version import __version__

__all__ = ["COMMANDS", "cli"]

#: Command → where it is: a module of this package, and the name of the :class:`click.Command` there.
COMMANDS = {
    "serve": ".serve:serve",
    "connect": ".connect:connect",
    "bench": ".bench:bench",
    "doctor": ".doctor:doctor",
    "routes": ".routes:routes",
}

_PACKAGE = __name__.rpartition(".")[0]


def _exists(module: str) -> bool:
    spec = find_spec(module, _PACKAGE)
    return spec is not None and spec.origin is not None  # a folder alone is no module


class LazyGroup(click.Group):
    """A group whose commands are named in a table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which they are in the table."""
        return [name for name, place in COMMANDS.items() if _exists(place.partition(":")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; ``None`` when there is none of this name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module, _PACKAGE), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is {command!r}; it is to be a click.Command")
        return command


def describe_version() -> str:
    """Tell what runs: the version, which build it is, and the Python."""
    build = "compiled" if _build.COMPILED else "pure Python"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"ws4py_middleware {__version__} ({build}), {python} on {platform.system()} {platform.machine()}"


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(message=describe_version(), version=__version__)
def cli() -> None:
    """Serve, try, measure and examine WebSockets; COMMAND --help says how."""
