"""What was counted, against what is stored in ``limits.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "LIMITS",
    "Finding",
    "find_call_limits",
    "judge_calls",
    "judge_instructions",
    "load",
    "store",
    "table",
]

LIMITS = Path(__file__).with_name("limits.json")

#: How many more instructions a message may cost than what is stored: with the very same interpreter and
#: compiler, and with another one of the same version.
TOLERANCE, OTHERS_TOLERANCE = 0.03, 0.15

#: What a thread that wakes up by the clock makes each time: it asks for the interpreter's lock, may have to
#: wait for it, and whoever has it hands it over.
_FUTEXES_A_SLEEP = 6


class Finding(NamedTuple):
    """One number, and its limit if it has one."""

    subject: str
    what: str
    value: float
    limit: float | None

    @property
    def is_too_much(self) -> bool:
        """Whether the guard complains."""
        return self.limit is not None and self.value > self.limit

    def __str__(self) -> str:
        return f"{self.subject}: {self.value:.6g} {self.what} a message, at most {self.limit:.6g}"


def load() -> dict[str, Any]:
    """Read the limits."""
    limits: dict[str, Any] = json.loads(LIMITS.read_text())
    return limits


def store(limits: Mapping[str, Any]) -> None:
    """Write the limits."""
    LIMITS.write_text(json.dumps(limits, indent=2) + "\n")


def find_call_limits(limits: Mapping[str, Any], server: str, name: str) -> dict[str, float]:
    """
    Return the limits of system calls, by group, for a load on a server.

    >>> limits = {"calls": {"any": {"e1": {"send": 1, "why": "it is so"}}, "daphne": {"e1": {"send": 2}}}}
    >>> find_call_limits(limits, "cherrypy", "e1"), find_call_limits(limits, "daphne", "e1")
    ({'send': 1}, {'send': 2})
    """
    found: dict[str, float] = {}
    for key in ("any", server):
        found |= limits["calls"].get(key, {}).get(name, {})
    return {group: limit for group, limit in found.items() if group != "why"}


def judge_calls(
    limits: Mapping[str, Any], server: str, name: str, counted: Mapping[str, float]
) -> Iterator[Finding]:
    """Compare the system calls a message of a load on a server with their limits."""
    values = dict(counted)
    # Threads that look at the clock do that for as long as the machine takes, and not for the messages.
    values["futex"] = max(values["futex"] - _FUTEXES_A_SLEEP * values.pop("sleep"), 0)
    bounds = find_call_limits(limits, server, name)
    for group, value in values.items():
        yield Finding(f"{server} {name}", group, value, bounds.get(group))


def judge_instructions(
    limits: Mapping[str, Any], build: str, made_by: str, version: str, counted: Mapping[str, float]
) -> Iterator[Finding]:
    """
    Compare the instructions a message with what is stored.

    Args:
        made_by: The interpreter and the compiler.
        version: The interpreter's, such as ``"3.11"``; where nothing is stored for it nothing is a limit.
    """
    stored = limits["instructions"].get(version, {}).get(build, {})
    tolerance = TOLERANCE if stored.get("made_by") == made_by else OTHERS_TOLERANCE
    for name, value in counted.items():
        most = stored.get("messages", {}).get(name)
        bound = None if most is None else most * (1 + tolerance)
        yield Finding(f"{build} {name}", "instructions", value, bound)


def table(findings: list[Finding]) -> str:
    """Write the findings down in columns, those of one subject in a line."""
    lines = []
    for subject in dict.fromkeys(finding.subject for finding in findings):
        cells = []
        for _, what, value, limit in (finding for finding in findings if finding.subject == subject):
            text = f"{value:,.0f}" if value >= 100 else f"{value:.3f}"
            most = "" if limit is None else f" ≤ {limit:,.0f}" if limit >= 100 else f" ≤ {limit:g}"
            cells.append(f"{what} {text}{most}")
        lines.append(f"{subject:18} {', '.join(cells)}")
    return "\n".join(lines)
