"""``connect`` on a terminal: a prompt below, and above it what the server says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.highlighter import JSONHighlighter
from rich.text import Text

from ...exc import ConnectionClosed
from ...extras import needs
from ...messaging import Message
from ..console import out
from ..escaping import escape, escape_lines, show_url
from ..failures import describe_close, report
from ..statuses import ABNORMAL, DONE, INTERRUPTED
from .client import Client
from .piped import NORMAL
from .showing import dump, indent, is_json

with needs("prompt_toolkit", "cli", "a prompt"):
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.formatted_text import FormattedText
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.patch_stdout import patch_stdout

__all__ = ["converse", "history_path"]

#: Most that is shown of a message; characters of text, bytes of a dump. Pipes get all of it.
_TEXT_LIMIT = 20_000
_DUMP_LIMIT = 512

#: Most that a ping may say, :rfc:`6455#section-5.5`; bytes.
_PING_LIMIT = 125

#: The ping at the beginning, of which only the line below tells.
_FIRST_PING = b"how far is it?"

#: How long it takes at most to draw the prompt; seconds.
_SETTLE = 0.05

#: After so many messages comes a pause; seconds.
_BURST, _PAUSE = 50, 0.02

#: How long Ctrl-C lets the server take for the closing handshake; seconds.
_HURRY = 1.0

_HELP = """\
/ping [TEXT]          send a ping, and tell how long its pong took
/hex DIGITS           send a binary message, such as /hex 00 ff
/file PATH            send what a file has, as a binary message
/close [CODE [TEXT]]  close, by default with 1000
/headers              show the server's answer to the handshake
/stats                show what has passed
//TEXT                send a message that begins with a slash
Ctrl-D closes, Ctrl-C leaves; the arrow keys go through what was typed."""


async def converse(client: Client, *, has_history: bool) -> int:
    """
    Connect, and let somebody type; return the exit status.

    Args:
        client: One that is not connected.
        has_history: Whether what is typed is kept in :func:`history_path`.
    """
    try:
        await client.dial()
    except Exception as error:  # noqa: BLE001 - what is none of a client's own is raised again there
        return report(error)
    history = _open_history() if has_history else InMemoryHistory()
    return await _Talk(client, history).run()


def history_path() -> Path:
    """Return where is kept what was typed."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base, "ws4py-middleware", "history")


def _open_history() -> History:
    path = history_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # People type passwords.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError:  # a home that cannot be written to
        return InMemoryHistory()
    return FileHistory(str(path))


def _hang(text: str) -> str:
    """Keep further lines below the first one, which has something in front."""
    return text.replace("\n", "\n  ")


class _Talk:
    def __init__(self, client: Client, history: History) -> None:
        self.client = client
        self.start = time.monotonic()
        self.status: int | None = None
        #: Whether this end has begun the closing handshake.
        self.has_closed = False
        self.commands: dict[str, Callable[[str], None]] = {
            "/ping": self._ping,
            "/hex": self._send_hex,
            "/file": self._send_file,
            "/close": self._close,
            "/headers": self._show_headers,
            "/stats": self._show_stats,
            "/help": lambda rest: self._note(_HELP),
        }
        self.session: PromptSession[str] = PromptSession(
            "> ",
            history=history,
            completer=WordCompleter(list(self.commands), sentence=True),
            complete_while_typing=False,
            bottom_toolbar=self._make_toolbar,
            refresh_interval=1.0,
        )
        client.on_pong = self._show_pong

    async def run(self) -> int:
        with patch_stdout(raw=True), self._signals():
            self._note(f"{self.client.describe()}; /help lists commands")
            self._ping_later(_FIRST_PING)
            receiver = asyncio.create_task(self._receive())
            try:
                await self._read()
            finally:
                await receiver
            return self._judge()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._be_ended, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _be_ended(self, number: int) -> None:
        self.status = 128 + number
        self._begin_close(1001)

    def _begin_close(self, code: int = 1000, reason: str = "") -> None:
        self.client.close(code, reason)  # it may refuse the code
        self.has_closed = True

    # --- what is typed ------------------------------------------------------------------------

    async def _read(self) -> None:
        while self.client.is_open:
            try:
                line = await self.session.prompt_async()
            except EOFError:  # Ctrl-D, or the connection has ended
                break
            except KeyboardInterrupt:
                self.status = INTERRUPTED
                self._begin_close(1001)
                asyncio.get_running_loop().call_later(_HURRY, self.client.terminate)
                return
            try:
                await self._take(line)
            except (ConnectionClosed, ValueError, OSError) as error:
                self._complain(str(error))
        if self.client.is_open:
            self._begin_close()

    async def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if line.startswith("//"):
            await self.client.send(line[1:])
        elif word in self.commands:
            self.commands[word](rest.strip())
        elif line.startswith("/"):
            self._complain(f"there is no {word}; /help lists commands, // sends what begins with a slash")
        elif line:
            await self.client.send(line)

    def _ping(self, rest: str) -> None:
        said = rest.encode()
        if len(said) > _PING_LIMIT:
            raise ValueError(f"a ping has {_PING_LIMIT} bytes at most, and this one {len(said)}")
        self._ping_later(said)

    def _ping_later(self, said: bytes) -> None:
        """Send a ping when the prompt is drawn: to draw it takes longer than many a network."""
        asyncio.get_running_loop().call_later(_SETTLE, self._send_ping, said)

    def _send_ping(self, said: bytes) -> None:
        if self.client.is_open:
            self.client.time_ping(said)

    def _send_hex(self, rest: str) -> None:
        try:
            data = bytes.fromhex(rest)
        except ValueError:
            raise ValueError(f"{rest!r} is not hexadecimal; write /hex 00 ff") from None
        self.client.send(data, binary=True)

    def _send_file(self, rest: str) -> None:
        words = shlex.split(rest)
        if len(words) != 1:
            raise ValueError("write /file PATH; a path with spaces is quoted")
        data = Path(words[0]).expanduser().read_bytes()
        self.client.send(data, binary=True)
        self._note(f"sent {len(data):,} bytes")

    def _close(self, rest: str) -> None:
        word, _, reason = rest.partition(" ")
        if word and not word.isdecimal():
            raise ValueError("write /close CODE REASON, such as /close 4000 that was it")
        self._begin_close(int(word or 1000), reason)

    # --- what is shown ------------------------------------------------------------------------

    async def _receive(self) -> None:
        count = 0
        async for message in self.client:
            self._show(message)
            count += 1
            # Who types has a turn, too; and so has the terminal, which is slower than a network.
            await asyncio.sleep(0 if count % _BURST else _PAUSE)
        await self.client.run()
        code, reason = self.client.ending
        who = "closed" if self.has_closed else "closed by the server"
        self._note(f"{who}: {describe_close(code, reason)}", style="dim" if code in NORMAL else "red")
        if self.session.app.is_running:
            self.session.app.exit(exception=EOFError())

    def _show(self, message: Message) -> None:
        shown = Text("< ", style="bold green")
        if message.is_text:
            text = str(message)
            cut, rest = text[:_TEXT_LIMIT], len(text) - _TEXT_LIMIT
            if rest <= 0 and is_json(text):
                shown.append_text(JSONHighlighter()(Text(_hang(indent(text)), style="default not bold")))
            else:
                shown.append(_hang(escape_lines(cut)), style="default not bold")
            unit = "characters"
        else:
            data = bytes(message.data)
            rest, unit = len(data) - _DUMP_LIMIT, "bytes"
            shown.append(f"{len(data):,} bytes\n{dump(data[:_DUMP_LIMIT])}", style="cyan not bold")
        if rest > 0:
            shown.append(f"\n(and {rest:,} {unit} more)", style="dim")
        out().print(shown, soft_wrap=True)

    def _show_pong(self, said: bytes, seconds: float) -> None:
        if said != _FIRST_PING:
            self._note(f"pong after {1000 * seconds:.2f} ms")

    def _show_headers(self, rest: str) -> None:
        headers = self.client.response_headers
        self._note("\n".join(f"{escape(name)}: {escape(value)}" for name, value in headers))

    def _show_stats(self, rest: str) -> None:
        stats = self.client.stats()
        self._note(
            f"sent {stats.messages_sent:,} messages, {stats.bytes_sent:,} bytes\n"
            f"received {stats.messages_received:,} messages, {stats.bytes_received:,} bytes"
        )

    def _note(self, text: str, style: str = "dim") -> None:
        out().print(Text(text, style=style), soft_wrap=True)

    def _complain(self, text: str) -> None:
        self._note(escape(text), style="red")

    def _make_toolbar(self) -> FormattedText:
        stats = self.client.stats()
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        seconds_of_ping = self.client.ping_time
        ping = "" if seconds_of_ping is None else f"  ping {1000 * seconds_of_ping:.1f} ms"
        counts = f"sent {stats.messages_sent:,}  received {stats.messages_received:,}"
        return FormattedText(
            [("", f" {show_url(self.client.url)}  open {minutes}:{seconds:02}  {counts}{ping} ")]
        )

    def _judge(self) -> int:
        if self.status is not None:
            return self.status
        return DONE if self.has_closed or self.client.ending[0] in NORMAL else ABNORMAL
