"""``connect`` in a pipe: a message a line in, a message a line out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...exc import ConnectionClosed
from ...messaging import Message
from ..console import err
from ..escaping import escape, show_url
from ..failures import describe_close, report
from ..statuses import ABNORMAL, DONE, PIPE_CLOSED, TIMED_OUT, USAGE
from .client import Client
from .pipes import LineReader, Writer
from .showing import flatten

__all__ = ["NORMAL", "Settings", "talk"]

#: These end a connection in order: going away is no failure of the server's.
NORMAL = (1000, 1001, 1005)


@dataclass(frozen=True)
class Settings:
    """How to talk, and how long."""

    #: What a line is: ``"text"``, ``"binary"`` (its bytes) or ``"hex"``.
    lines: str = "text"
    #: How a message is written: ``"line"``, ``"json"`` or ``"raw"``.
    form: str = "line"
    #: How many messages end it; ``None``: no number.
    count: int | None = None
    #: How many seconds in all; ``None``: any.
    wait: float | None = None
    #: How many seconds without a message end it when the input has; ``None``: none do.
    linger: float | None = 1.0
    verbose: bool = False


async def talk(client: Client, settings: Settings, *, stdin: int = 0, stdout: int = 1) -> int:
    """
    Connect; send lines, write messages; and return the exit status.

    Args:
        client: One that is not connected.
        settings: How.
        stdin: The descriptor that lines are read from.
        stdout: The one that messages are written to.
    """
    try:
        await client.dial()
    except Exception as error:  # noqa: BLE001 - what is none of a client's own is raised again there
        return report(error)
    return await _Talk(client, settings, stdin, stdout).run()


class _Talk:
    def __init__(self, client: Client, settings: Settings, stdin: int, stdout: int) -> None:
        self.client = client
        self.settings = settings
        self.stdin = stdin
        self.writer = Writer(stdout)
        self.start = time.perf_counter()
        self.received = 0
        #: When the last message came, or the input ended.
        self.moved = self.start
        #: What decides about the status, before the close code does.
        self.status: int | None = None
        self.is_late = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(self._send())]
        timer = None
        if self.settings.wait is not None:
            timer = loop.call_later(self.settings.wait, self._run_out)
        try:
            with self._signals(loop):
                await self._tell_opened()
                await self._receive()
                await self.client.run()
                await self._tell_closed()
                await self.writer.finish()
        except BrokenPipeError:
            self.status = PIPE_CLOSED
            await self._leave()
        except OSError as error:
            self._fail(USAGE, f"the output cannot be written: {error.strerror}")
            await self._leave()
        finally:
            if timer is not None:
                timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._judge()

    # --- in -----------------------------------------------------------------------------------

    async def _send(self) -> None:
        number = 0
        try:
            async for line in LineReader(self.stdin):
                number += 1
                payload = self._make_payload(line, number)
                await self.client.send(payload, isinstance(payload, bytes))
        except ConnectionClosed:
            why = describe_close(*self.client.ending)
            self._fail(ABNORMAL, f"line {number} was not sent, for the connection had ended: {why}")
            return
        except ValueError as error:
            self._fail(USAGE, str(error))
            self.client.close(1001)
            return
        except OSError as error:
            self._fail(USAGE, f"the input cannot be read: {error}")
        self.moved = time.perf_counter()
        if self.settings.linger is not None:
            while (left := self.moved + self.settings.linger - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            self.client.close()

    def _make_payload(self, line: bytes, number: int) -> str | bytes:
        if self.settings.lines == "binary":
            return line
        if self.settings.lines == "hex":
            try:
                return bytes.fromhex(line.decode("ascii"))
            except ValueError:
                raise ValueError(f"line {number} is not hexadecimal, such as 00ff or '00 ff'") from None
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise ValueError(
                f"line {number} is not UTF-8, as text has to be; --binary sends its bytes"
            ) from None

    # --- out ----------------------------------------------------------------------------------

    async def _receive(self) -> None:
        count = self.settings.count
        async for message in self.client:
            if count is not None and self.received >= count:
                continue  # they came before the server knew
            self.moved = time.perf_counter()
            await self.writer.write(self._format(message))
            self.received += 1
            if self.received == count:
                self.client.close()

    def _format(self, message: Message) -> bytes:
        form = self.settings.form
        data = bytes(message.data)
        if form == "raw":
            return data + b"\n"
        if form == "json":
            what = {"text": str(message)} if message.is_text else {"base64": base64.b64encode(data).decode()}
            return self._make_event("message", **what)
        return (flatten(str(message)) if message.is_text else data.hex()).encode() + b"\n"

    def _make_event(self, name: str, **fields: Any) -> bytes:
        seconds = round(time.perf_counter() - self.start, 6)
        return json.dumps({"event": name, "time": seconds, **fields}).encode() + b"\n"

    async def _tell_opened(self) -> None:
        client = self.client
        if self.settings.form == "json":
            opened = {
                "url": show_url(client.url),
                "seconds": client.open_time,
                "subprotocol": client.subprotocol,
                "extensions": [extension.name for extension in client.extensions or ()],
                "headers": list(client.response_headers),
            }
            await self.writer.write(self._make_event("open", **opened))
        if self.settings.verbose:
            err().print(client.describe(), style="dim")
            for name, value in client.response_headers:
                err().print(f"  {escape(name)}: {escape(value)}", style="dim")

    async def _tell_closed(self) -> None:
        code, reason = self.client.ending
        if self.settings.form == "json":
            await self.writer.write(self._make_event("close", code=code, reason=reason))
        if self.settings.verbose:
            err().print(f"closed: {describe_close(code, reason)}", style="dim")

    # --- the end ------------------------------------------------------------------------------

    def _run_out(self) -> None:
        self.is_late = True
        self.client.close()

    def _fail(self, status: int, text: str) -> None:
        if self.status is None:
            self.status = status
            err().print(escape(text), style="red")

    async def _leave(self) -> None:
        self.client.close(1001)
        async for _ in self.client:
            pass
        await self.client.run()

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self._be_interrupted, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _be_interrupted(self, number: int) -> None:
        if self.status == 128 + number:
            self.client.terminate()  # the second time, nobody wants to wait
            return
        self.status = 128 + number
        self.client.close(1001)

    def _judge(self) -> int:
        if self.status is not None:
            return self.status
        code, reason = self.client.ending
        if code not in NORMAL:
            self._fail(ABNORMAL, f"closed: {describe_close(code, reason)}")
            return ABNORMAL
        count = self.settings.count
        if count is not None and self.received < count:
            within = f" within {self.settings.wait:g} s" if self.is_late else ""
            self._fail(
                TIMED_OUT if self.is_late else ABNORMAL,
                f"{self.received} of {count} messages came{within}; closed: {describe_close(code, reason)}",
            )
            return TIMED_OUT if self.is_late else ABNORMAL
        return DONE
