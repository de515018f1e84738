"""
Take pictures of programs in a terminal, for the documentation.

A picture is of a real run, in a pseudo-terminal, against a real server: the program is started, keys are
pressed, and what is on the screen at the end is drawn as SVG. Add yours to :data:`PICTURES`; then::

    python scripts/lib/terminal_pictures.py docs/images [NAME ...]
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.color import Color, ColorParseError
from rich.console import Console
from rich.style import Style
from rich.text import Text
from websockets.sync.client import connect

from tests.cli.terminal import PROGRAM, Screen, Terminal
from tests.servers import ROOT, free_port, start

__all__ = ["PICTURES", "Picture", "draw", "take"]


@dataclass(frozen=True)
class Picture:
    """What is run, and what is done with it."""

    #: The file, without ``.svg``.
    name: str
    #: What is shown as the command that was typed; ``ws4py-middleware`` runs as the tests run it, and all
    #: else as it is. ``{url}`` is the server's address: ``ws://127.0.0.1:8000``.
    command: str
    #: What to press, and wait for.
    play: Callable[[Terminal], None] = Terminal.wait
    #: The kind of a server and its application, see ``tests/servers``; ``None``: there is none.
    server: tuple[str, str] | None = None
    #: Columns and most rows; those that stay empty at the end are not drawn.
    size: tuple[int, int] = (100, 40)
    title: str = ""
    #: Where it is run.
    folder: Path = ROOT
    #: It serves at a port of its own, which people read as 8000.
    is_server: bool = False


def _talk(terminal: Terminal) -> None:
    terminal.see("lists commands")
    for line, answer in (
        ("Morning!", "< Morning!"),
        ('{"room": "lobby", "people": ["Ada", "Grace"], "open": true}', '    "open": true'),
        ("/ping", "pong after"),
        ("/hex 89504e470d0a1a0a0000000d49484452", "IHDR"),
    ):
        terminal.type_line(line)
        terminal.see(answer)
    # The picture is taken while it runs: with the line that is typed, and the one below.
    terminal.press("And now")
    terminal.see("> And now")
    terminal.see("received 3  ping")


def _serve(terminal: Terminal) -> None:
    terminal.see("Press CTRL+C to quit")
    found = re.search(r"http://(127\.0\.0\.1:\d+)", terminal.text)
    assert found is not None
    with urllib.request.urlopen(f"http://{found[1]}/") as page:
        page.read()
    with connect(f"ws://{found[1]}/chat/blue") as ws:
        ws.send("hello")
        ws.recv()
    terminal.see("closed")


PICTURES: tuple[Picture, ...] = (
    Picture(
        name="cli_connect",
        command="ws4py-middleware connect --no-history {url}/echo",
        server=("gunicorn-gthread", "examples.echo.app:app"),
        play=_talk,
        size=(92, 22),
    ),
    Picture(
        name="cli_bench",
        command="ws4py-middleware bench {url}/echo --connections 50 --depth 4 --duration 3",
        server=("gunicorn-gthread", "examples.echo.app:app"),
        size=(104, 34),
    ),
    Picture(
        name="cli_doctor",
        command="ws4py-middleware doctor gunicorn -k gthread app:app",
        folder=ROOT / "docs" / "code" / "doctor",
        size=(98, 34),
    ),
    Picture(
        name="cli_serve",
        command="ws4py-middleware serve app:app",
        folder=ROOT / "docs" / "code" / "doctor",
        play=_serve,
        size=(120, 24),
        is_server=True,
    ),
    Picture(
        name="cli_routes",
        command="ws4py-middleware routes app:app",
        folder=ROOT / "docs" / "code" / "limits",
        size=(104, 34),
    ),
)


def take(picture: Picture, directory: Path) -> Path:
    """Run what is in a picture, draw it, and return the file."""
    with contextlib.ExitStack() as stack:
        port = 0
        if picture.server is not None:
            port = stack.enter_context(start(*picture.server)).port
        home = stack.enter_context(tempfile.TemporaryDirectory())
        words = picture.command.format(url=f"ws://127.0.0.1:{port}").split()
        command = [*PROGRAM, *words[1:]] if words[0] == "ws4py-middleware" else words
        if picture.is_server:
            port = free_port()
            command += ["--port", str(port)]
        terminal = stack.enter_context(
            Terminal(command, size=picture.size, env={"HOME": home}, folder=picture.folder)
        )
        picture.play(terminal)
        lines = read_screen(terminal.screen)
    prompt = Text("$ ", style="bold green") + Text(
        picture.command.format(url="ws://127.0.0.1:8000"), style="bold"
    )
    # Ports are chosen at random here, and not in what people read.
    shown = [prompt, *(_replace(line, f":{port}", ":8000") for line in lines)]
    path = directory / f"{picture.name}.svg"
    path.write_text(draw(shown, picture.size[0], picture.title or picture.command.split()[0], picture.name))
    return path


def read_screen(screen: Screen) -> list[Text]:
    """Return what is on a screen, in its colours, without the empty lines at its end."""
    lines = []
    for row in range(screen.lines):
        line = Text()
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        while cells and cells[-1].data == " " and cells[-1].bg == "default" and not cells[-1].reverse:
            cells.pop()
        for style, run in itertools.groupby(cells, key=_make_style):
            line.append("".join(cell.data for cell in run), style=style)
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def _make_style(cell: Any) -> Style:
    style = Style(
        color=_make_color(cell.fg),
        bgcolor=_make_color(cell.bg),
        bold=cell.bold,
        dim=cell.blink,
        italic=cell.italics,
        underline=cell.underscore,
    )
    return style + Style(reverse=True) if cell.reverse else style


def _make_color(name: str) -> Color | None:
    """Return the colour that pyte names: ``default``, one of eight, ``brown`` for yellow, or six digits."""
    if name == "default":
        return None
    known = name.replace("bright", "bright_").replace("brown", "yellow")
    with contextlib.suppress(ColorParseError):
        return Color.parse(known)
    return Color.parse(f"#{name}")


def _replace(line: Text, old: str, new: str) -> Text:
    while (at := line.plain.find(old)) >= 0:
        before, rest = line[:at], line[at + len(old) :]
        line = before + Text(new, style=line.get_style_at_offset(Console(), at)) + rest
    return line


def draw(lines: Sequence[Text], columns: int, title: str, name: str) -> str:
    """
    Return SVG with these lines in a window.

    Args:
        columns: How wide it is; characters.
        title: Of the window.
        name: What the names inside begin with: pictures on one page must not share any.
    """
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    # The last line is cut off at its bottom, where an underscore is.
    for line in (*lines, Text()):
        console.print(line, no_wrap=True, crop=True, highlight=False)
    svg = console.export_svg(title=title, unique_id=name.replace("_", "-"))
    # A picture in a page asks nobody for fonts.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def main(directory: str, *names: str) -> None:
    """Take all pictures, or those that are named."""
    for picture in PICTURES:
        if not names or picture.name in names:
            path = take(picture, Path(directory))
            print(f"{path.resolve().relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
