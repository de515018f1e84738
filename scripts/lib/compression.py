"""
docs/topics/compression.md: what compression costs and saves, measured.

    python -m scripts.lib.compression            write the tables of the page
    python -m scripts.lib.compression rss ...    what one setting takes, measured in this process

Memory is the growth of the process's resident set, so that what an allocator adds is in it, too. Sizes and
times are of messages of 1 KiB of JSON that differ from each other; times are the minimum of many rounds, in
which all take turns.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from ws4py_middleware.core.extensions.deflate import Deflate
from ws4py_middleware.core.extensions.zlibs import get_libraries
from ws4py_middleware.core.policy import DeflateOptions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "topics" / "compression.md"

#: So many connections are open at once while memory is measured.
CONNECTIONS = 500
#: Times are the minimum of so many rounds.
ROUNDS = 60

BITS = range(9, 16)
MEM_LEVELS = (1, 3, 5, 8, 9)
LEVELS = (1, 2, 3, 6, 9)
LIBRARIES = ("zlib", "zlib-ng")
BOTH = "both"
#: So many connections take turns.
COUNTS = (1, 10, 100, 1000)
#: Who takes them: with which library, and whether compressors are shared.
TURNS = (("zlib", False), (BOTH, False), ("zlib-ng", False), ("zlib", True), ("zlib-ng", True))

WORDS = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "it",
    "you",
    "that",
    "he",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
)


class Setting(NamedTuple):
    """What is measured: one direction of a connection."""

    library: str
    direction: str
    bits: int
    mem_level: int
    keep: bool


def make_messages(count: int) -> list[bytes]:
    """Return messages of 1 KiB of JSON each, the same ones each time."""
    dice = random.Random(1)
    messages = []
    for _ in range(count):
        items: list[object] = []
        message = {
            "type": "order.update",
            "id": dice.randrange(10**9),
            "user": {"id": dice.randrange(10**6), "roles": dice.sample(["admin", "editor", "owner"], 2)},
            "time": 1700000000 + dice.random() * 1e6,
            "note": " ".join(dice.choices(WORDS, k=12)),
            "items": items,
        }
        while len(json.dumps(message)) < 1024:
            price = round(dice.random() * 500, 2)
            tags = dice.sample(["new", "sale", "blue", "red"], 2)
            items.append({"sku": f"{dice.getrandbits(32):08x}", "price": price, "tags": tags})
        messages.append(json.dumps(message).encode()[:1024])
    return messages


def make_codec(setting: Setting, level: int = 1, keep_received: bool | None = None) -> Deflate:
    """Return one end of a connection; what it receives is kept as what it sends, unless that is said."""
    return Deflate(
        DeflateOptions(level=level, mem_level=setting.mem_level),
        encoder_bits=setting.bits,
        decoder_bits=setting.bits,
        keep_encoder=setting.keep,
        keep_decoder=setting.keep if keep_received is None else keep_received,
        # What is no library is what both are: each for what it is chosen for, where both are installed.
        library=get_libraries().get(setting.library),
    )


def pack(messages: Sequence[bytes], bits: int, keep: bool) -> list[bytes]:
    """Compress as a peer would that has nothing of ours."""
    packed = []
    compressor = zlib.compressobj(6, zlib.DEFLATED, -bits, 8)
    for message in messages:
        if not keep:
            compressor = zlib.compressobj(6, zlib.DEFLATED, -bits, 8)
        packed.append((compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4])
    return packed


# --- memory ------------------------------------------------------------------------------------------


def get_rss() -> int:
    """Return what this process holds of the machine's memory, in bytes."""
    match = re.search(r"^VmRSS:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


def measure_here(setting: Setting) -> float:
    """Return what a connection takes for one direction, in KiB; in this process, which is to be a new one."""
    # Twice what the window holds, so that all of it was in use.
    messages = make_messages(2 * 2**setting.bits // 1024 + 8)
    frames = pack(messages, setting.bits, setting.keep)
    codecs = [make_codec(setting) for _ in range(CONNECTIONS)]
    before = get_rss()
    for codec in codecs:
        for message, frame in zip(messages, frames, strict=True):
            if setting.direction == "send":
                codec.encode_message(message)
            else:
                codec.decode_frame(frame, True, 4096)
    return (get_rss() - before) / CONNECTIONS / 1024


def measure(setting: Setting) -> float:
    """Return the same, measured in a process of its own."""
    command = [sys.executable, "-m", "scripts.lib.compression", "rss", *map(str, setting[:-1])]
    if setting.keep:
        command.append("keep")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


def show_kib(value: float) -> str:
    """Write a size as it stands in the table: less than a page is nothing."""
    return "0" if value < 4 else f"{value:.0f}"


def build_memory() -> list[str]:
    """Return the table of what a connection takes with each window."""
    columns = [f"sends, `mem_level={level}`" for level in MEM_LEVELS]
    columns += ["sends, zlib-ng", "receives, zlib", "receives, zlib-ng"]
    lines = [f"| window | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for bits, keep in [*((bits, True) for bits in BITS), (12, False)]:
        settings = [Setting("zlib", "send", bits, level, keep) for level in MEM_LEVELS]
        settings.append(Setting("zlib-ng", "send", bits, 5, keep))
        settings += [Setting(library, "receive", bits, 5, keep) for library in LIBRARIES]
        name = f"{bits} bits" if keep else "none is kept"
        lines.append(f"| {name} | {' | '.join(show_kib(measure(setting)) for setting in settings)} |")
    return lines


# --- sizes and times ---------------------------------------------------------------------------------


def get_size(library: str, level: int, keep: bool) -> float:
    """Return what is left of a message of 1 KiB, in bytes."""
    messages = make_messages(128)
    codec = make_codec(Setting(library, "send", 12, 5, keep), level)
    return sum(len(codec.encode_message(message) or b"") for message in messages) / len(messages)


def time_ours(
    library: str, level: int, keep: bool, count: int = 1, keep_received: bool | None = None
) -> Callable[[], float]:
    """Return a round of messages both ways, by connections in turn; it gives the seconds that one takes."""
    messages = make_messages(128)
    kept = keep if keep_received is None else keep_received
    frames = pack(messages, 12, kept and count == 1)
    setting = Setting(library, "both", 12, 5, keep)
    codecs = itertools.cycle([make_codec(setting, level, kept) for _ in range(count)])

    def run() -> float:
        started = time.perf_counter()
        # Turns go on in the next round, so that nobody compresses the same message again and again.
        for frame, message, codec in zip(frames, messages, codecs, strict=False):
            codec.decode_frame(frame, True, 4096)
            codec.encode_message(message)
        return (time.perf_counter() - started) / len(messages)

    return run


def time_websockets(keep: bool, count: int = 1) -> Callable[[], float]:
    """Return the same with the codec of websockets, as its servers set it up."""
    messages = [Frame(Opcode.TEXT, message) for message in make_messages(128)]
    packed = pack(make_messages(128), 12, keep and count == 1)
    frames = [Frame(Opcode.TEXT, data, rsv1=True) for data in packed]
    all_codecs = [PerMessageDeflate(not keep, not keep, 12, 12, {"memLevel": 5}) for _ in range(count)]
    codecs = itertools.cycle(all_codecs)

    def run() -> float:
        started = time.perf_counter()
        for frame, message, codec in zip(frames, messages, codecs, strict=False):
            codec.decode(frame, max_size=4096)
            codec.encode(message)
        return (time.perf_counter() - started) / len(messages)

    return run


def race(runs: Mapping[Hashable, Callable[[], float]]) -> dict[Hashable, float]:
    """Run all in turns; return the shortest time of each."""
    best = dict.fromkeys(runs, 1.0)
    for _ in range(ROUNDS):
        for kind, run in runs.items():
            best[kind] = min(best[kind], run())
    return best


def build_speed() -> list[str]:
    """Return the table of what each level leaves of a message, and how long both ways take."""
    kinds = [(library, level, keep) for library in LIBRARIES for level in LEVELS for keep in (True, False)]
    runs: dict[Hashable, Callable[[], float]] = {kind: time_ours(*kind) for kind in kinds}
    runs |= {keep: time_websockets(keep) for keep in (True, False)}
    best = race(runs)
    lines = [
        "| library | `level` | bytes | time | bytes, nothing kept | time, nothing kept |",
        "|---|---|---|---|---|---|",
    ]
    for library in LIBRARIES:
        for level in LEVELS:
            cells = [
                cell
                for keep in (True, False)
                for cell in (
                    f"{get_size(library, level, keep):.0f}",
                    f"{best[library, level, keep] / best[keep]:.2f}",
                )
            ]
            lines.append(f"| {library} | {level} | {' | '.join(cells)} |")
    return lines


def build_turns() -> list[str]:
    """Return the table of how long both ways take with connections that take turns."""
    runs: dict[Hashable, Callable[[], float]] = {}
    for count in COUNTS:
        runs[count] = time_websockets(True, count)
        for library, shared in TURNS:
            runs[library, shared, count] = time_ours(library, 1, not shared, count, True)
    best = race(runs)
    lines = [
        f"| | {' | '.join(f'{count} connections' if count > 1 else '1 connection' for count in COUNTS)} |",
        "|---" * (len(COUNTS) + 1) + "|",
    ]
    for library, shared in TURNS:
        cells = [f"{best[library, shared, count] / best[count]:.2f}" for count in COUNTS]
        lines.append(f"| {library}{', `shared=True`' if shared else ''} | {' | '.join(cells)} |")
    return lines


# --- the page ----------------------------------------------------------------------------------------


def replace_table(page: str, name: str, lines: list[str]) -> str:
    """Put a table into the page, between the comments that bear its name."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    head, rest = page.split(start)
    return f"{head}{start}" + "".join(f"{line}\n" for line in lines) + end + rest.split(end)[1]


def main() -> None:
    match sys.argv[1:]:
        case ["rss", library, direction, bits, mem_level, *keep]:
            setting = Setting(library, direction, int(bits), int(mem_level), keep == ["keep"])
            print(measure_here(setting))
        case _:
            page = PAGE.read_text(encoding="utf-8")
            page = replace_table(page, "memory", build_memory())
            page = replace_table(page, "speed", build_speed())
            page = replace_table(page, "turns", build_turns())
            PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
