"""A drawing: boxes, lines and words in one style, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Canvas"]

# The picture brings its own ground, so that it can be read on a page that is light while the system is dark.
_STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.head { font-weight: 600; }
.code { font: 12px ui-monospace, SFMono-Regular, "DejaVu Sans Mono", Menlo, monospace; }
.quiet { fill: #59636e; }
.small { font-size: 12px; }
.ground { fill: #ffffff; }
.area { fill: #f6f8fa; stroke: #d1d9e0; }
.box { fill: #ffffff; stroke: #818b98; }
.ours { fill: #ddf4ff; stroke: #0969da; }
.dummy { fill: #fff8c5; stroke: #9a6700; }
.gone { fill: none; stroke: #818b98; stroke-dasharray: 4 4; }
.line { fill: none; stroke: #818b98; stroke-width: 2; }
.line.live { stroke: #0969da; stroke-width: 3; }
.line.dummy { fill: none; stroke: #9a6700; }
.line.look { stroke: #0969da; stroke-dasharray: 5 4; }
.line.cut { stroke-dasharray: 4 4; }
.tip { fill: #818b98; }
.tip.live, .tip.look { fill: #0969da; }
.tip.dummy { fill: #9a6700; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .ground { fill: #0d1117; }
  .area { fill: #151b23; stroke: #3d444d; }
  .box { fill: #0d1117; stroke: #656c76; }
  .ours { fill: #0c2d4f; stroke: #4493f8; }
  .dummy { fill: #3a2d0a; stroke: #d29922; }
  .gone { stroke: #656c76; }
  .line { stroke: #656c76; }
  .line.live, .line.look { stroke: #4493f8; }
  .line.dummy { fill: none; stroke: #d29922; }
  .tip { fill: #656c76; }
  .tip.live, .tip.look { fill: #4493f8; }
  .tip.dummy { fill: #d29922; }
}
"""

Point = tuple[float, float]


class Canvas:
    """
    What is drawn is appended, and lies above what was drawn before.

    Args:
        width: In pixels.
        height: In pixels.
        title: What the picture is, for people who see it, and who do not.
        desc: What is to be seen on it, for those who do not see it.
    """

    def __init__(self, width: int, height: int, title: str, desc: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"',
            f' height="{height}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(desc)}</desc>',
            f"<style>\n{_STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
        ]

    def box(self, kind: str, at: Point, size: Point, lines: Iterable[str] = ()) -> None:
        """Draw an area, box, ours, dummy or gone, with words in its middle; the first line is its name."""
        (x, y), (width, height) = at, size
        radius = 10 if kind == "area" else 6
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}"/>'
        )
        words = list(lines)
        first = y + height / 2 + 4.5 - 8 * (len(words) - 1)
        for index, line in enumerate(words):
            style = "head" if index == 0 else "small quiet"
            self.text((x + width / 2, first + 16 * index), line, style, anchor="middle")

    def text(self, at: Point, words: str, style: str = "", *, anchor: str = "start") -> None:
        """Write one line. Styles: title, head, code, small, quiet."""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        kind = f' class="{style}"' if style else ""
        self._parts.append(f'<text{kind} x="{at[0]:g}" y="{at[1]:g}"{place}>{escape(words)}</text>')

    def line(self, kind: str, points: Sequence[Point], *, tips: str = "") -> None:
        """
        Draw a line through points, along the axes at its ends.

        Args:
            kind: "" or some of live, look, dummy, cut.
            points: From here to there.
            tips: Where it has an arrow: ``">"`` at its end, ``"<"`` at its beginning, ``"<>"`` at both.
        """
        ends = list(points)
        if ">" in tips:
            ends[-1] = _back(points[-2], points[-1])
        if "<" in tips:
            ends[0] = _back(points[1], points[0])
        path = " ".join(f"{x:g},{y:g}" for x, y in ends)
        self._parts.append(f'<polyline class="line {kind}" points="{path}"/>')
        if ">" in tips:
            self._tip(kind, points[-2], points[-1])
        if "<" in tips:
            self._tip(kind, points[1], points[0])

    def polygon(self, kind: str, points: Sequence[Point]) -> None:
        """Draw an area with corners."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polygon class="{kind}" points="{path}"/>')

    def _tip(self, kind: str, before: Point, end: Point) -> None:
        (x, y), back = end, _back(before, end)
        across = (0, 6) if before[1] == y else (6, 0)
        corners = [
            (x, y),
            (back[0] - across[0], back[1] - across[1]),
            (back[0] + across[0], back[1] + across[1]),
        ]
        self.polygon(f"tip {kind}", corners)

    def __str__(self) -> str:
        """Return the file."""
        return "\n".join([*self._parts, "</svg>", ""])


def _back(before: Point, end: Point) -> Point:
    """Return where a line ends that has a tip of ten pixels."""
    if before[1] == end[1]:
        return (end[0] + (10 if before[0] > end[0] else -10), end[1])
    return (end[0], end[1] + (10 if before[1] > end[1] else -10))
