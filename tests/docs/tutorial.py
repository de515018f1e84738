"""
Do what a page tells its reader to do, as it is written, and compare what comes with what the page says.

What the page has:

* Blocks of ``console``: each line that begins with ``$`` is typed into a terminal, which is a bash of its
  own; what stands below is what it prints. In there, ``...`` is whatever it likes, alone on a line any
  number of lines. Blocks with a ``:caption:`` are in the terminal of that name.
* ``^C`` as the first line of a block: the last command of that terminal, which has gone on until then, is
  interrupted; its last words follow.
* ``literalinclude`` with a ``:caption:``: the reader writes that file, into the folder of the first terminal.
* ``% play NAME``, a comment of MyST's: what the reader does elsewhere, such as in a browser.

A command is over before the next one is typed, except for the last one before a ``^C``, and the last one of a
terminal: there, what the page says has to have been printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["FIRST", "Command", "File", "Interrupt", "Play", "Step", "perform", "read_page"]

#: The terminal of blocks that name none.
FIRST = "a terminal"

#: Seconds that a command may take.
PATIENCE = 100.0

_BLOCK = re.compile(
    r"^% play (?P<play>[^\n]+)$"
    r"|^```(?:console|\{code-block\} console)\n(?P<console>.*?)^```$"
    r"|^```\{literalinclude\} (?P<source>\S+)\n(?P<options>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_CAPTION = re.compile(r"^:caption: (.*)\n", re.MULTILINE)
_OPTIONS = re.compile(r"\A(?::[\w-]+:.*\n)*\n*")

#: What the terminals print behind each command, with its status between.
_MARK = "\x1e"


class Command(NamedTuple):
    """A command that is typed, and what it prints."""

    terminal: str
    command: str
    output: str


class Interrupt(NamedTuple):
    """Ctrl-C, and what is printed then."""

    terminal: str
    output: str


class File(NamedTuple):
    """A file that the reader writes."""

    name: str
    source: Path


class Play(NamedTuple):
    """Something that is done elsewhere."""

    name: str


Step = Command | Interrupt | File | Play


def read_page(path: Path) -> list[Step]:
    """Read what a page has its reader do, in order."""
    steps: list[Step] = []
    for block in _BLOCK.finditer(path.read_text(encoding="utf-8")):
        if block["play"]:
            steps.append(Play(block["play"]))
        elif block["source"]:
            caption = _CAPTION.search(block["options"])
            if caption:
                steps.append(File(caption[1], path.parent / block["source"]))
        else:
            caption = _CAPTION.search(block["console"])
            steps += _read_console(caption[1] if caption else FIRST, _OPTIONS.sub("", block["console"]))
    return steps


def _read_console(terminal: str, text: str) -> Iterator[Step]:
    for piece in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
        first, _, rest = piece.partition("\n")
        if first == "^C":
            yield Interrupt(terminal, rest)
        elif first:
            assert first.startswith("$ "), f"neither a command nor its output: {piece!r}"
            yield Command(terminal, first.removeprefix("$ "), rest)


class Terminal:
    """A bash, to which lines are given, and what was printed since the last one."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=env,
            start_new_session=True,  # so that Ctrl-C is heard by all that runs in it, and by nobody else
        )
        self._printed = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        # The bash itself goes on after Ctrl-C, as one with a keyboard does.
        self._type("trap : INT")

    @property
    def folder(self) -> Path:
        """Where its commands run."""
        return Path(os.readlink(f"/proc/{self._process.pid}/cwd"))

    def _read(self) -> None:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 65536):
            with self._changed:
                self._printed += data.decode(errors="replace")
                self._changed.notify_all()
        with self._changed:
            self._printed += f"{_MARK}the terminal is gone{_MARK}"
            self._changed.notify_all()

    def _type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def start(self, command: str) -> None:
        """Type a command."""
        self._printed = ""
        self._type(f"{{ {command}\n}} </dev/null; printf '{_MARK}%s{_MARK}' $?")

    def finish(self, command: str, output: str) -> None:
        """Wait until the command is over, and compare what it has printed."""
        with self._changed:
            over = self._changed.wait_for(lambda: self._printed.endswith(_MARK), PATIENCE)
            printed, _, status = self._printed.rstrip(_MARK).partition(_MARK)
        assert over, f"$ {command}\ndoes not end; it has printed\n{printed}"
        assert status == "0", f"$ {command}\nended with {status}, after\n{printed}"
        assert _pattern(output).fullmatch(_tidy(printed)), _difference(command, output, printed)

    def wait_printed(self, command: str, output: str) -> None:
        """Wait until the command, which may go on, has printed this."""
        pattern = _pattern(output)
        with self._changed:
            there = self._changed.wait_for(
                lambda: pattern.match(_tidy(self._printed.partition(_MARK)[0])) is not None, PATIENCE
            )
            assert there, _difference(command, output, self._printed)

    def interrupt(self, output: str) -> None:
        """Press Ctrl-C."""
        self._printed = ""
        os.killpg(self._process.pid, signal.SIGINT)
        self.finish("^C", output)

    def close(self) -> None:
        """End all that runs in it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._reader.join(10)  # it ends when nobody is left who could print
            if not self._reader.is_alive():
                break
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()


def _tidy(printed: str) -> str:
    text = re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE)
    return text if text.endswith("\n") or not text else f"{text}\n"


def _pattern(output: str) -> re.Pattern[str]:
    lines = (
        r"(?:.*\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("..."))) + r"\n"
        for line in output.splitlines()
    )
    return re.compile("".join(lines))


def _difference(command: str, output: str, printed: str) -> str:
    return f"$ {command}\nprinted\n{printed}\nwhere the page says\n{output}"


def perform(
    steps: list[Step],
    folder: Path,
    env: Mapping[str, str],
    plays: Mapping[str, Callable[[], object]],
    replace: Mapping[str, str],
) -> None:
    """
    Do all that the page says, beginning in an empty folder.

    Args:
        steps: What :func:`read_page` has found.
        folder: Where each terminal begins.
        env: The environment of the terminals.
        plays: What is done elsewhere, by name.
        replace: What is another here than on the page, such as a port that is in use.

    Raises:
        AssertionError: A command has failed, or printed something else.
    """

    def here(text: str) -> str:
        for old, new in replace.items():
            text = text.replace(old, new)
        return text

    terminals: dict[str, Terminal] = {}
    try:
        for index, step in enumerate(steps):
            match step:
                case Play(name):
                    plays[name]()
                case File(name, source):
                    target = terminals[FIRST].folder / name
                    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
                case Command(name, command, output):
                    if name not in terminals:
                        terminals[name] = Terminal(folder, env)
                    terminals[name].start(here(command))
                    if _goes_on(name, steps[index + 1 :]):
                        terminals[name].wait_printed(here(command), here(output))
                    else:
                        terminals[name].finish(here(command), here(output))
                case Interrupt(name, output):
                    terminals[name].interrupt(here(output))
    finally:
        for terminal in terminals.values():
            terminal.close()


def _goes_on(terminal: str, later: list[Step]) -> bool:
    """Tell whether a command is one that the reader does not wait for."""
    mine = [step for step in later if isinstance(step, Command | Interrupt) and step.terminal == terminal]
    return not mine or isinstance(mine[0], Interrupt)
