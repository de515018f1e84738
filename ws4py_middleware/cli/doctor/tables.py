"""What the doctor prints: a table for people, or JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..escaping import escape
from .findings import Finding, Report
from .kinds import Level

__all__ = ["build_summary", "build_table", "print_reports"]

_STYLES = {Level.OK: "green", Level.INFO: "cyan", Level.WARN: "yellow", Level.BAD: "bold red"}


def print_reports(console: Console, reports: Sequence[Report], *, quiet: bool = False) -> None:
    """
    Print reports, each with its table, and a line for all of them.

    Args:
        quiet: Leave out what is good.
    """
    for report in reports:
        console.print(Text(escape(report.setup), style="bold"))
        console.print(build_table(report, quiet=quiet))
    console.print(build_summary(reports))


def build_table(report: Report, *, quiet: bool = False) -> RenderableType:
    """Build the table of a report: how much each finding matters, its code, and what it says."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for finding in report.findings:
        if quiet and finding.level in (Level.OK, Level.INFO):
            continue
        style = _STYLES[finding.level]
        table.add_row(Text(finding.level.value, style=style), finding.code, _describe(finding))
    return table


def _describe(finding: Finding) -> RenderableType:
    what = Text(escape(finding.what))
    if not finding.do:
        return what
    lines: list[RenderableType] = [what]
    if finding.why:
        lines.append(Text(escape(finding.why), style="dim"))
    lines.append(Text(f"→ {escape(finding.do)}", style=_STYLES[finding.level]))
    return Group(*lines)


def build_summary(reports: Sequence[Report]) -> Text:
    """
    Build the last line.

    >>> report = Report("ws://example.com/")
    >>> _ = report.add("no_ping_interval", interval=None), report.add("ping", ms=1)
    >>> print(build_summary([report]))
    healthy; 1 warning
    """
    found = [finding.level for report in reports for finding in report.findings]
    bad, warned = found.count(Level.BAD), found.count(Level.WARN)
    parts = [f"{bad} problem{'s' * (bad != 1)}" if bad else "healthy"]
    if warned:
        parts.append(f"{warned} warning{'s' * (warned != 1)}")
    return Text("; ".join(parts), style=_STYLES[Level.BAD if bad else Level.WARN if warned else Level.OK])
