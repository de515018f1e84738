"""The ends of a pipe: whole lines, whatever the pieces; nothing is kept that nobody takes."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from ws4py_middleware.cli.connect.pipes import LineReader, Writer

#: More than any pipe takes at once.
LARGE = 3 * 1024 * 1024


def read_lines(*pieces: bytes) -> list[bytes]:
    async def main() -> list[bytes]:
        return [line async for line in LineReader(reading)]

    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb", buffering=0) as file:
            file.writelines(pieces)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        return asyncio.run(main())
    finally:
        feeder.join()
        os.close(reading)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b"\n"], [b""]),
        ([b"a"], [b"a"]),
        ([b"a\n\nb\r\n"], [b"a", b"", b"b"]),
        ([b"a", b"b", b"c\nd", b"\r", b"\n"], [b"abc", b"d"]),
        ([b"x" * LARGE, b"\ny"], [b"x" * LARGE, b"y"]),
    ],
)
def test_lines_are_whole(pieces: list[bytes], lines: list[bytes]) -> None:
    assert read_lines(*pieces) == lines


def test_reader_does_not_run_ahead_of_who_asks() -> None:
    async def main() -> int:
        lines = aiter(LineReader(reading))
        await anext(lines)
        written = 0
        # What is read and not taken is so little that the pipe is full at last.
        os.set_blocking(writing, False)
        while written < LARGE:
            try:
                written += os.write(writing, b"line\n" * 100)
            except BlockingIOError:
                break
            await asyncio.sleep(0)
        return written

    reading, writing = os.pipe()
    os.write(writing, b"first\n")
    try:
        assert asyncio.run(main()) < LARGE
    finally:
        os.close(writing)
        for thread in threading.enumerate():
            if thread.name == "LineReader":
                thread.join(10)
                assert not thread.is_alive()
        os.close(reading)


def test_descriptor_that_cannot_be_read_is_told() -> None:
    async def main() -> None:
        async for _ in LineReader(folder):
            pass

    folder = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            asyncio.run(main())
    finally:
        os.close(folder)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_writer_writes_all_in_order_and_makes_who_writes_wait(is_blocking: bool) -> None:
    async def main() -> None:
        writer = Writer(writing)
        for _ in range(3):
            await writer.write(data)
        await writer.finish()

    reading, writing = os.pipe()
    os.set_blocking(writing, is_blocking)
    data = os.urandom(LARGE)
    taken: list[bytes] = []

    def take() -> None:
        with open(reading, "rb") as file:
            taken.append(file.read())

    taker = threading.Thread(target=take)
    taker.start()
    try:
        asyncio.run(main())
    finally:
        os.close(writing)
        taker.join()
    assert taken == [data * 3]


def test_writer_tells_that_nobody_reads() -> None:
    async def main() -> None:
        writer = Writer(writing)
        await writer.write(b"x")
        await writer.done.wait()
        with pytest.raises(BrokenPipeError):
            await writer.write(b"x")
        with pytest.raises(BrokenPipeError):
            await writer.finish()

    reading, writing = os.pipe()
    os.close(reading)
    try:
        asyncio.run(main())
    finally:
        os.close(writing)
