"""What a soak has seen, and what of it is not as it should be."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["HOUR", "Bounds", "Rest", "Round", "choose_bounds", "find_slope", "judge"]

KiB = 1024
MiB = 1024 * KiB
HOUR = 3600.0
#: Most blocks that there may be more at the end, by the trend, however long it took. They come and go with
#: caches, by some hundred; of a leak each client leaves one, and there are some thousand within minutes.
MOST_BLOCKS = 1000


class Rest(NamedTuple):
    """What the worker holds when all clients have left."""

    #: Seconds from the beginning.
    when: float
    #: Resident memory in bytes, after its allocator was told to give back what is free.
    memory: int
    fds: int
    threads: int
    #: Of memory, as Python counts them: about as many as there are objects.
    blocks: int


class Round(NamedTuple):
    """A time with clients."""

    lives: int
    messages: int
    #: The 99th percentile of an echo meanwhile, in seconds.
    p99: float
    #: How much longer the worker took because the machine was busy with others; 1.0 when it was not.
    factor: float
    #: The most memory that was seen.
    peak: int


class Bounds(NamedTuple):
    """What a run of some length can prove."""

    #: Most that memory at rest may have grown from the first rest to the last by its trend; bytes.
    growth: int
    #: How many times the p99 of the first half of the rounds that of the second half may be.
    unsteady: float
    #: Below which a p99 is the machine's timer and nothing else; seconds.
    instant: float


def choose_bounds(seconds: float) -> Bounds:
    """
    Choose the bounds for a run that is so long behind its warm-up.

    P29 is about an hour: 1 MiB, and a p99 that is stable by 20 %. Within two minutes memory at rest is
    uncertain by some 100 KiB, as the allocator cuts it into other pieces each time, and goes on settling;
    blocks (:data:`MOST_BLOCKS`) show a leak by then. One busy neighbour on the machine is most of a p99.
    """
    if seconds >= 0.75 * HOUR:
        return Bounds(int(MiB * seconds / HOUR), 1.2, 0.002)
    if seconds >= 900:
        return Bounds(MiB, 2.0, 0.005)
    return Bounds(MiB, 3.0, 0.005)


def find_slope(points: Sequence[tuple[float, float]]) -> float:
    """
    Find the slope of a line through points, of which a few may be anywhere.

    It is the median of the slopes of all pairs (Theil-Sen).

    >>> find_slope([(0, 1), (1, 3), (2, 99), (3, 7)])
    2.0
    """
    pairs = itertools.combinations(points, 2)
    return statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairs)


def judge(rests: Sequence[Rest], rounds: Sequence[Round]) -> tuple[list[str], list[str]]:
    """
    Judge a run; the warm-up is not among what is given.

    Args:
        rests: One before each round, and one at the end.
        rounds: In order.

    Returns:
        What was measured, and what of it is wrong, in words.
    """
    first, last = rests[0], rests[-1]
    seconds = last.when - first.when
    bounds = choose_bounds(seconds)
    slope = find_slope([(rest.when, rest.memory) for rest in rests])
    growth = slope * seconds
    blocks = find_slope([(rest.when, rest.blocks) for rest in rests]) * seconds
    lives = sum(each.lives for each in rounds)
    messages = sum(each.messages for each in rounds)
    half = len(rounds) // 2
    # What the machine did to others is no fault of the server's.
    early, late = (
        statistics.median(each.p99 / each.factor for each in part) for part in (rounds[:half], rounds[-half:])
    )
    trend = f"{growth / KiB:+.0f} KiB, which is {growth / max(lives, 1):+.0f} B for each client"
    seen = [
        f"{lives} clients, {messages} messages in {len(rounds)} rounds, {seconds:.0f} s behind the warm-up",
        f"memory at rest: {first.memory / MiB:.2f} MiB, then {last.memory / MiB:.2f} MiB",
        f"by its trend: {trend} and {slope * HOUR / MiB:+.2f} MiB an hour; of {bounds.growth / KiB:.0f} KiB",
        f"blocks at rest: {first.blocks}, then {last.blocks}; by their trend {blocks:+.0f} of {MOST_BLOCKS}",
        f"memory at its peak: {max(each.peak for each in rounds) / MiB:.1f} MiB",
        f"descriptors at rest: {first.fds}, then {last.fds}; threads: {first.threads}, then {last.threads}",
        f"p99 of an echo: {early * 1e3:.1f} ms, then {late * 1e3:.1f} ms, the machine's delays taken out",
    ]
    wrong: list[str] = []
    if growth > bounds.growth:
        wrong.append(
            f"memory at rest grows: {growth / KiB:.0f} KiB in {seconds:.0f} s, and {bounds.growth / KiB:.0f} "
            f"KiB are allowed; it was {', '.join(f'{rest.memory / KiB:.0f}' for rest in rests)} KiB"
        )
    if blocks > MOST_BLOCKS:
        wrong.append(f"objects are left: there were {[rest.blocks for rest in rests]} blocks at rest")
    for name, counts in (
        ("descriptors", [rest.fds for rest in rests]),
        ("threads", [rest.threads for rest in rests]),
    ):
        if counts[-1] > counts[0]:
            wrong.append(f"{counts[-1] - counts[0]} {name} are left: there were {counts} at rest")
    if late > max(early, bounds.instant) * bounds.unsteady:
        wrong.append(
            f"the p99 is not stable: {early * 1e3:.1f} ms, then {late * 1e3:.1f} ms; by rounds "
            f"{', '.join(f'{each.p99 * 1e3:.1f}' for each in rounds)} ms"
        )
    return seen, wrong
