"""
A program in a pseudo-terminal: what is typed, what is seen.

::

    with Terminal([*PROGRAM, "connect", url]) as terminal:
        terminal.see("lists commands")
        terminal.type_line("hello")
        terminal.see("< hello")
        terminal.end()
    assert terminal.status == 0
    assert "< hello" in terminal.lines
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pexpect
import pyte

from tests.servers import ROOT

__all__ = ["PROGRAM", "Screen", "Terminal"]

#: The command line, as it is started here.
PROGRAM = (sys.executable, "-m", "ws4py_middleware")


class Screen(pyte.Screen):
    """A screen that remembers what is dim, too: as what blinks, which nothing does here."""

    #: Takes what the terminal itself says, such as where the cursor is when that is asked for.
    reply: Callable[[str], object]

    def write_process_input(self, data: str) -> None:
        self.reply(data)

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        codes: list[int] = []
        rest = list(attrs)
        while rest:
            code = rest.pop(0)
            if code in (38, 48):  # a colour, whose numbers are no attributes
                size = 2 if rest[:1] == [5] else 4
                codes += [code, *rest[:size]]
                del rest[:size]
            else:
                codes += {2: [5], 22: [22, 25]}.get(code, [code])
        super().select_graphic_rendition(*codes)


class Terminal:
    """See the module's text; it is killed at the end of the block if it still runs."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (100, 40),
        env: Mapping[str, str] | None = None,
        timeout: float = 15.0,
        folder: Path = ROOT,
    ) -> None:
        columns, rows = size
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }
        for name in ("NO_COLOR", "COLUMNS", "LINES", "COLORTERM"):
            environment.pop(name, None)
        environment |= env or {}
        self.timeout = timeout
        self._child: Any = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(rows, columns),
            env=environment,
            cwd=str(folder),
        )
        self._screen = Screen(columns, rows)
        self._screen.reply = self._child.send
        self._stream = pyte.ByteStream(self._screen)
        #: All that was written so far that has been looked at.
        self.output = b""

    def see(self, text: str, *, press: str = "") -> None:
        """
        Wait until a line on the screen has this text.

        Args:
            text: What is to be seen.
            press: Keys to press again and again until it is.
        """
        deadline = time.monotonic() + self.timeout
        while not any(text in line for line in self.lines):
            left = max(deadline - time.monotonic(), 0)
            if press:
                self.press(press)
            try:
                self._take(self._child.read_nonblocking(65536, min(left, 0.2) if press else left))
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                if press and left and isinstance(error, pexpect.TIMEOUT):
                    continue
                raise AssertionError(
                    f"{type(error).__name__}: {text!r} is not on the screen:\n{self.text}"
                ) from None

    def type_line(self, line: str) -> None:
        """Type a line, and the return key."""
        self._child.send(line + "\r")

    def press(self, keys: str) -> None:
        """Type keys."""
        self._child.send(keys)

    def end(self) -> None:
        """Press Ctrl-D, and wait for the end."""
        self._child.send("\x04")
        self.wait()

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait for the end."""
        self._child.send("\x03")
        self.wait()

    def wait(self) -> None:
        """Wait for the end."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self._take(self._child.read_nonblocking(65536, self.timeout))
        self._child.close()

    @property
    def status(self) -> int | None:
        """The exit status; negative is a signal; ``None`` as long as it runs."""
        child = self._child
        status: int | None = child.exitstatus if child.signalstatus is None else -child.signalstatus
        return status

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without spaces at the ends of lines."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """What is on the screen, with as many lines as are not empty."""
        return "\n".join(self.lines).rstrip()

    @property
    def screen(self) -> Screen:
        """The screen itself, which knows colours."""
        return self._screen

    def _take(self, data: bytes) -> None:
        self.output += data
        self._stream.feed(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)
