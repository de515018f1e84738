"""Tables for a terminal; what peers have chosen cannot do anything there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["escape", "format_age", "format_size", "show_connections", "show_pairs", "show_stats"]

_HEADERS = ("ID", "ROUTE", "PEER", "AGE", "QUEUE", "IN", "OUT", "ROOMS")
#: Those that are numbers stand on the right.
_RIGHT = {"AGE", "QUEUE", "IN", "OUT"}
_WIDEST = 40

_SIZES = {"queued", "queued_max", "bytes_received", "bytes_sent"}
_SIZES |= {"packed_received", "plain_received", "packed_sent", "plain_sent"}
_AGES = {"age", "oldest"}
_LATENCIES = {"latency", "latency_min", "latency_avg", "latency_max", "latency_sum"}


def escape(text: str) -> str:
    r"""
    Write what a terminal, or a second line, would be as what it is.

    >>> print(escape("a\x1b[2Jb\n\u202e"))
    a\x1b[2Jb\n\u202e
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


def format_age(seconds: float) -> str:
    """
    Write a length of time.

    >>> format_age(7.26), format_age(310), format_age(7322), format_age(200000)
    ('7.3s', '5m10s', '2h02m', '2d07h')
    """
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h"


def format_size(size: float) -> str:
    """
    Write a number of bytes.

    >>> format_size(0), format_size(1023), format_size(65536), format_size(5 * 2**30)
    ('0', '1023', '64.0K', '5.0G')
    """
    if size < 1024:
        return str(int(size))
    for unit in "KMGT":
        size /= 1024
        if size < 1024 or unit == "T":
            break
    return f"{size:.1f}{unit}"


def show_connections(connections: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table of connections."""
    rows = []
    for each in connections:
        rooms = list(each["rooms"])
        more = each["rooms_total"] - len(rooms)
        listed = ",".join(map(str, rooms)) + (f" and {more} more" if more else "")
        rows.append(
            (
                each["id"],
                each["route"] or each["path"],
                each["client"] or "-",
                format_age(each["age"]),
                format_size(each["queued"]),
                str(each["messages_received"]),
                str(each["messages_sent"]),
                listed or "-",
            )
        )
    return _align(_HEADERS, rows)


def _align(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    # All that is wider than usual is cut, but for the last column and the ids, which are to be copied.
    whole = (0, len(headers) - 1)
    cells = [
        [escape(cell) if place in whole else _cut(escape(cell)) for place, cell in enumerate(row)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if header in _RIGHT else cell.ljust(width)
            for cell, width, header in zip(row, widths, headers, strict=True)
        ).rstrip()
        for row in [list(headers), *cells]
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def show_pairs(values: Mapping[str, Any]) -> list[str]:
    """Return the lines for names and their values, without those that have none."""
    known = {name: _format(name, value) for name, value in values.items()}
    shown = {name: text for name, text in known.items() if text}
    width = max(map(len, shown), default=0)
    return [f"{escape(name).ljust(width)}  {escape(text)}" for name, text in shown.items()]


def show_stats(workers: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table with a column for each process, and one for their sum."""
    columns = [*(worker["stats"] for worker in workers), whole]
    headers = ["", *(str(worker["pid"]) for worker in workers), "all"]
    if len(workers) == 1:
        columns, headers = columns[:1], headers[:2]
    rows = [
        [name, *(_format(name, column.get(name)) or "-" for column in columns)]
        for name in whole
        if any(column.get(name) for column in columns) or name == "connections"
    ]
    lines = _align(headers, rows)
    for worker in workers:
        for hub in worker.get("hubs", ()):
            figures = " ".join(f"{name}={value}" for name, value in (hub.get("stats") or {}).items())
            state = "" if "connected" not in hub else " connected" if hub["connected"] else " away"
            backplane = hub["backplane"] or "in this process"
            lines.append(
                escape(
                    f"hub of {worker['pid']}: {backplane}{state} with members_in={hub['rooms']} {figures}"
                ).rstrip()
            )
    return lines


def _format(name: str, value: Any) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if name in _SIZES:
        return format_size(value)
    if name in _AGES:
        return format_age(value)
    if name in _LATENCIES:
        return f"{value * 1000:.1f}ms"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}:{each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
