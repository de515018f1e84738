"""
The two ends of a pipe, each in a thread of its own, so that a loop never waits for it.

The descriptors are read and written directly: Python's streams have locks, at which the interpreter's exit
would wait for a thread that still reads.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import AsyncIterator

__all__ = ["LineReader", "Writer"]

_SIZE = 65536

#: As much waits for whoever reads our output; then the server has to wait, too. Bytes.
_HIGH_WATER = 1024 * 1024


class LineReader:
    """
    The lines of a descriptor, as they come.

    Iterate over it, in a running loop: the lines have no line end, and the last one need not have had one.
    No more is read than is asked for, but for a few reads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[list[bytes] | OSError | None] = asyncio.Queue()
        self._room = threading.Semaphore(2)
        self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """
        Read on.

        Raises:
            OSError: The descriptor cannot be read.
        """
        threading.Thread(target=self._read, name="LineReader", daemon=True).start()
        try:
            while (lines := await self._queue.get()) is not None:
                if isinstance(lines, OSError):
                    raise lines
                for line in lines:
                    yield line
                self._room.release()
        finally:
            self._is_over = True
            self._room.release()

    def _read(self) -> None:
        end: OSError | None = None
        rest: list[bytes] = []  # the pieces of a line whose end has not come
        try:
            while not self._is_over and (data := os.read(self._descriptor, _SIZE)):
                first, *lines = data.split(b"\n")
                rest.append(first)
                if lines:
                    lines.insert(0, b"".join(rest))
                    rest = [lines.pop()]
                    self._put([line.removesuffix(b"\r") for line in lines])
            if last := b"".join(rest):
                self._put([last.removesuffix(b"\r")])
        except OSError as error:
            end = error
        self._tell(end)

    def _put(self, lines: list[bytes]) -> None:
        self._room.acquire()
        self._tell(lines)

    def _tell(self, what: list[bytes] | OSError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, what)
        except RuntimeError:  # the loop is closed: nobody asks any more
            return


class Writer:
    """What is written to a descriptor, in order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._condition = threading.Condition()
        self._progress = asyncio.Event()
        #: Set when nobody reads what is written, or it cannot be written.
        self.error: OSError | None = None
        #: Set then, and at the end.
        self.done = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="Writer", daemon=True)
        self._thread.start()

    async def write(self, data: bytes) -> None:
        """
        Queue some bytes; wait while there are too many.

        Raises:
            OSError: They cannot be written: a :exc:`BrokenPipeError` when nobody reads them any more.
        """
        with self._condition:
            self._pieces.append(data)
            self._size += len(data)
            self._condition.notify()
        while self._size > _HIGH_WATER and self.error is None:
            self._progress.clear()
            await self._progress.wait()
        if self.error is not None:
            raise self.error

    async def finish(self) -> None:
        """
        Wait until all is written.

        Raises:
            OSError: It cannot be, as above.
        """
        with self._condition:
            self._ended = True
            self._condition.notify()
        await self.done.wait()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        error: OSError | None = None
        try:
            while pieces := self._take():
                self._write(b"".join(pieces))
                self._call(self._advance, sum(map(len, pieces)))
        except OSError as problem:
            error = problem
        self._call(self._end, error)

    def _take(self) -> list[bytes]:
        with self._condition:
            self._condition.wait_for(lambda: self._pieces or self._ended)
            pieces, self._pieces = self._pieces, []
            return pieces

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # somebody else has set the pipe so
                select.select([], [self._descriptor], [])

    def _advance(self, size: int) -> None:
        with self._condition:
            self._size -= size
        self._progress.set()

    def _end(self, error: OSError | None) -> None:
        self.error = error
        self._progress.set()
        self.done.set()

    def _call(self, function: object, *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed: nobody asks any more
            return
