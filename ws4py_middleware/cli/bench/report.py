"""What is said of a measurement: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ... import _build
from ..escaping import escape, show_url
from ..failures import describe_close
from .histogram import Histogram
from .load import Result

__all__ = ["PERCENTILES", "as_dict", "describe"]

PERCENTILES = (50.0, 90.0, 99.0, 99.9)

#: From this share of a core on, the figures are this client's own as much as the server's.
_BUSY = 0.9

#: The longest bar; characters.
_BAR = 40


def as_dict(result: Result) -> dict[str, Any]:
    """Return all figures; times are seconds, sizes bytes."""
    plan = result.plan
    return {
        "url": show_url(plan.url),
        "connections": plan.connections,
        "size": plan.size,
        "depth": plan.depth,
        "binary": plan.binary,
        "wanted_rate": plan.rate,
        "opened": result.opened,
        "open_time": _as_times(result.open_times),
        "seconds": round(result.seconds, 6),
        "messages": result.answered,
        "rate": round(result.rate, 3),
        "latency": _as_times(result.latencies),
        "buckets": [[value / 1e9, count] for value, count in result.latencies],
        "errors": {
            "all": result.errors,
            "wrong": result.wrong,
            "unasked": result.unasked,
            "unanswered": result.unanswered,
            "not_opened": dict(result.failures),
            "closed": [[code, reason, count] for (code, reason), count in result.endings.items()],
        },
        "unsent": result.unsent,
        "cpu_share": round(result.cpu_share, 3),
        "client_is_busy": is_busy(result),
        "compiled": _build.COMPILED,
        "interrupted": result.is_interrupted,
    }


def _as_times(histogram: Histogram) -> dict[str, float]:
    values = {f"p{percent:g}": histogram.percentile(percent) for percent in PERCENTILES}
    return {name: value / 1e9 for name, value in {**values, "max": histogram.max}.items()}


def is_busy(result: Result) -> bool:
    """Tell whether this process may be what was measured."""
    return result.cpu_share >= _BUSY


def describe(result: Result, *, block: str = "█") -> Iterator[tuple[str, str]]:
    """
    Tell it to people.

    Args:
        block: What bars are made of.

    Yields:
        Lines, each with the style that it is to have.
    """
    plan = result.plan
    opened = _describe_times(result.open_times, (50.0,))
    yield f"connections  {result.opened:,} of {plan.connections:,} opened: {opened}", ""
    kind = "binary" if plan.binary else "text"
    sent = f"{kind}, {plan.size:,} bytes, {plan.depth:,} on the way of each connection"
    yield f"messages     {result.answered:,} there and back in {result.seconds:.2f} s; {sent}", ""
    megabytes = result.rate * plan.size / 1e6
    wanted = "" if plan.rate is None else f", of {plan.rate:,.0f} that were to be"
    yield f"throughput   {result.rate:,.0f} messages/s, {megabytes:,.2f} MB/s{wanted}", "bold"
    if result.answered:
        yield f"latency      {_describe_times(result.latencies, PERCENTILES)}", "bold"
        yield "", ""
        for line in _draw(result.latencies, block):
            yield line, "cyan"
        yield "", ""
    yield from _describe_errors(result)
    yield from _describe_client(result)


def _describe_times(histogram: Histogram, percentiles: tuple[float, ...]) -> str:
    values = [f"p{percent:g} {format_time(histogram.percentile(percent))}" for percent in percentiles]
    return "  ".join([*values, f"max {format_time(histogram.max)}"])


def format_time(nanoseconds: float) -> str:
    """
    Write a length of time.

    >>> format_time(12_345), format_time(1_234_567), format_time(61_000_000_000)
    ('0.012 ms', '1.23 ms', '61.0 s')
    """
    milliseconds = nanoseconds / 1e6
    if milliseconds < 1:
        return f"{milliseconds:.3f} ms"
    if milliseconds < 10:
        return f"{milliseconds:.2f} ms"
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _draw(histogram: Histogram, block: str) -> Iterator[str]:
    bounds = [factor * 10**power for power in range(4, 11) for factor in (1, 2, 5)]  # 10 µs to 50 s
    counts = histogram.divide(bounds)
    filled = [place for place, count in enumerate(counts) if count]
    most, total = max(counts), sum(counts)
    for place in range(filled[0], filled[-1] + 1):
        low = bounds[place - 1] if place else 0
        bar = block * round(_BAR * counts[place] / most)
        share = 100 * counts[place] / total
        yield f"  from {format_time(low):>9}  {bar:{_BAR}}  {share:5.1f} %  {counts[place]:>12,}"


def _describe_errors(result: Result) -> Iterator[tuple[str, str]]:
    if not result.errors:
        yield "errors       none", "green"
    said = {
        "answers were not what was sent": result.wrong,
        "messages came that were no answers": result.unasked,
        "messages were not answered": result.unanswered,
        **{f"connections failed: {escape(text)}": count for text, count in result.failures.items()},
        **{
            f"connections ended too early: {describe_close(code, reason)}": count
            for (code, reason), count in result.endings.items()
        },
    }
    for text, count in said.items():
        if count:
            yield f"errors       {count:,} {text}", "red"
    if result.unsent:
        yield f"pace         {result.unsent:,} messages more were due, and had to wait for answers", "yellow"


def _describe_client(result: Result) -> Iterator[tuple[str, str]]:
    share = f"{100 * result.cpu_share:.0f} % of a core"
    if is_busy(result):
        yield f"this client  {share}: it is the bottleneck, and the server may do more than this;", "yellow"
        yield "             run several of it at a time, where there are cores for them", "yellow"
    else:
        yield f"this client  {share}", "dim"
    if not _build.COMPILED:
        yield "             it is the pure Python build; compiled, it makes several times as much", "yellow"
