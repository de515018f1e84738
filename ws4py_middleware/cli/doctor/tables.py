"""What the doctor prints: a table for people, or JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..console import print_table
from ..escaping import escape
from .findings import Finding, Report
from .kinds import Level

__all__ = ["build_matrix", "build_summary", "build_table", "print_reports"]

_STYLES = {Level.OK: "green", Level.INFO: "cyan", Level.WARN: "yellow", Level.BAD: "bold red"}


#: The columns of several reports: title, and the findings that it has, the worst first.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "starts": ("started",),
    "handshake": ("handshake",),
    "early": ("early", "early_lost"),
    "limit": ("limit_off", "limit_not_kept", "limit_cut", "limit"),
    "origin": ("origin_open", "origin"),
    "close": ("close_unanswered", "close"),
    "hand-over": ("worker_held", "threads_held", "handed_over"),
    "SIGTERM": ("drain_late", "sigterm_reloads", "drain_silent", "drain_other", "drain"),
}
_MARKS = {Level.OK: "yes", Level.INFO: "other", Level.WARN: "warn", Level.BAD: "BAD"}


def print_reports(console: Console, reports: Sequence[Report], *, quiet: bool = False) -> None:
    """
    Print reports, each with its table, and a line for all of them.

    Args:
        quiet: Leave out what is good.
    """
    if len(reports) > 1:
        print_table(console, build_matrix(reports))
        # What is good is in there; what is not is told.
        quiet = True
    for report in reports:
        if len(reports) == 1 or any(_matters(each) for each in report.findings):
            console.print(Text(escape(report.setup), style="bold"))
            console.print(build_table(report, quiet=quiet))
    console.print(build_summary(reports))


def _matters(finding: Finding) -> bool:
    return finding.level in (Level.WARN, Level.BAD)


def build_matrix(reports: Sequence[Report]) -> Table:
    """Build the table of several reports: a line each, and what works."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("server", overflow="fold")
    for title in _COLUMNS:
        table.add_column(title, no_wrap=True)
    for report in reports:
        cells = []
        for codes in _COLUMNS.values():
            found = next((each for code in codes for each in report.findings if each.code == code), None)
            if found is None:
                cells.append(Text("-", style="dim"))
            else:
                cells.append(Text(_MARKS[found.level], style=_STYLES[found.level]))
        table.add_row(Text(escape(report.setup)), *cells)
    return table


def build_table(report: Report, *, quiet: bool = False) -> RenderableType:
    """Build the table of a report: how much each finding matters, its code, and what it says."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for finding in report.findings:
        if quiet and not _matters(finding):
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
