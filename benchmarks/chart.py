"""
The chart: what three scenarios cost on each server, as bars of multiples of the limit.

It is text made from numbers, with no library, so that the same numbers always give the same file. Its colours
follow the reader's choice of light or dark, and what it says is in its description, too.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from benchmarks.lineup import SERVERS
from benchmarks.results import LIMIT_NAME, Results
from benchmarks.table import format_ratio

__all__ = ["SHOWN", "TITLE", "render"]

TITLE = "CPU time of the server for each message, as a multiple of a C echo server's"
#: The scenarios, and what each is called.
SHOWN = {
    "e100": "100 connections, 32 B",
    "p16": "16 in flight, 125 B",
    "64K": "10 connections, 64 KiB",
}
#: Longer bars are cut here, and say so.
LONGEST = 10.0
WIDTH, NAMES, PANEL, GAP = 1032, 366, 165, 54
ROW, BAR, TOP, FOOT = 22, 13, 74, 34
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; }
.ours { font-weight: 600; }
.ground { fill: #ffffff; }
.bar { fill: #afb8c1; }
.bar.ours { fill: #0969da; }
.limit { stroke: #1f2328; stroke-dasharray: 3 3; }
.cut { stroke: #ffffff; stroke-width: 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .ground { fill: #0d1117; }
  .bar { fill: #57606a; }
  .bar.ours { fill: #4493f8; }
  .limit { stroke: #e6edf3; }
  .cut { stroke: #0d1117; }
}
"""


def _rows(results: Results) -> list[tuple[str, str, list[float | None]]]:
    """Return the name, the title and the ratios of each server, the cheapest first."""
    rows = []
    for server in SERVERS:
        ratios = [results.value(scenario, server.name, "ratio") for scenario in SHOWN]
        if server.name != LIMIT_NAME and any(ratio is not None for ratio in ratios):
            rows.append((server.name, server.title.replace("**ours**", "ws4py_middleware"), ratios))

    def mean(row: tuple[str, str, list[float | None]]) -> tuple[int, float]:
        known = [ratio for ratio in row[2] if ratio]
        return len(SHOWN) - len(known), math.prod(known) ** (1 / len(known))

    return sorted(rows, key=mean)


def _short(title: str) -> str:
    """Leave out what is in parentheses, and what does not fit beside the bars."""
    text = title
    while "(" in text:
        before, _, rest = text.partition("(")
        text = before.rstrip() + rest.partition(")")[2]
    return text if len(text) <= 48 else text[:47].rstrip(" ,") + "…"


def _bar(x: float, y: float, ratio: float | None, kind: str) -> list[str]:
    middle = y + BAR - 2.5
    if ratio is None:
        return [f'<text class="quiet" x="{x:g}" y="{middle:g}">–</text>']
    length = min(ratio, LONGEST) / LONGEST * PANEL
    parts = [f'<rect class="bar{kind}" x="{x:g}" y="{y:g}" width="{length:.1f}" height="{BAR}" rx="2"/>']
    if ratio > LONGEST:
        at = x + length - 14
        parts.append(f'<path class="cut" d="M{at:g} {y + BAR + 2:g}l6 -{BAR + 4}"/>')
    value = f'<text class="value{kind}" x="{x + length + 5:.1f}" y="{middle:g}">{format_ratio(ratio)}</text>'
    return [*parts, value]


def _say(rows: list[tuple[str, str, list[float | None]]]) -> str:
    said = []
    for _, title, ratios in rows:
        numbers = (f"{name} {format_ratio(ratio)}" for name, ratio in zip(SHOWN, ratios, strict=True))
        said.append(f"{title}: {', '.join(numbers)}.")
    return " ".join(said)


def render(results: Results) -> str:
    """Return the chart as SVG."""
    rows = _rows(results)
    height = TOP + ROW * len(rows) + FOOT
    bottom = TOP + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"',
        f' height="{height}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(TITLE)}</title>',
        f'<desc id="desc">{escape(_say(rows))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="24">{escape(TITLE)}</text>',
    ]
    lefts = [NAMES + number * (PANEL + GAP) for number in range(len(SHOWN))]
    for x, (name, said) in zip(lefts, SHOWN.items(), strict=True):
        parts.append(f'<text class="ours" x="{x}" y="48">{escape(name)}</text>')
        parts.append(f'<text class="quiet" x="{x}" y="64">{escape(said)}</text>')
    for number, (name, title, ratios) in enumerate(rows):
        y = TOP + ROW * number
        kind = " ours" if name.startswith("ours") else ""
        label = f'<text class="name{kind}" x="{NAMES - 10}" y="{y + BAR - 2.5:g}" text-anchor="end">'
        parts.append(f"{label}{escape(_short(title))}</text>")
        for x, ratio in zip(lefts, ratios, strict=True):
            parts += _bar(x, y, ratio, kind)
    for x in lefts:
        at = x + PANEL / LONGEST
        parts.append(f'<path class="limit" d="M{at:g} {TOP - 4}V{bottom}"/>')
    foot = f"Less is better. The dashed line is the C server: 1×. Bars beyond {LONGEST:g}× are cut."
    parts.append(f'<text class="quiet" x="12" y="{bottom + 22}">{escape(foot)}</text>')
    return "\n".join([*parts, "</svg>", ""])
