"""Findings as data, and the reports that they make up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

from .kinds import KINDS, Level

__all__ = ["Finding", "Report", "find", "is_healthy"]


class Finding(NamedTuple):
    """One thing that was seen."""

    level: Level
    #: One of :data:`~.kinds.KINDS`.
    code: str
    #: What was seen.
    what: str
    #: Why it is so, or why it matters; may be empty.
    why: str = ""
    #: What to do about it; empty where there is nothing to do.
    do: str = ""


@dataclasses.dataclass
class Report:
    """What was found of one set-up: a command, or a URL."""

    #: For people: ``"gunicorn -k gthread app:app"``.
    setup: str
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def add(self, code: str, /, **facts: Any) -> Finding:
        """Note a finding; ``facts`` are what the texts of its kind have in braces."""
        found = find(code, **facts)
        self.findings.append(found)
        return found

    def has(self, *codes: str) -> bool:
        """Tell whether one of these was found."""
        return any(each.code in codes for each in self.findings)

    @property
    def problems(self) -> list[Finding]:
        """What is bad."""
        return [each for each in self.findings if each.level is Level.BAD]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        findings = [{**each._asdict(), "level": each.level.value} for each in self.findings]
        return {"setup": self.setup, "healthy": not self.problems, "findings": findings}


def find(code: str, /, **facts: Any) -> Finding:
    """
    Make a finding.

    Args:
        code: One of :data:`~.kinds.KINDS`.
        facts: What its texts have in braces; ``why`` and ``do`` take the place of the kind's own.

    >>> find("ping", ms=3)
    Finding(level=<Level.OK: 'ok'>, code='ping', what='a ping is answered in 3 ms', why='', do='')
    """
    kind = KINDS[code]
    # What came from elsewhere is no template.
    texts = {name: "{" + name + "}" if facts.get(name) else getattr(kind, name) for name in ("why", "do")}
    what, why, do = (text.replace("`", "").format(**facts) for text in (kind.what, texts["why"], texts["do"]))
    return Finding(kind.level, code, what, why, do)


def is_healthy(reports: Iterable[Report], *, strict: bool = False) -> bool:
    """Tell whether nothing is bad; with ``strict``, nor worth a warning."""
    bad = {Level.BAD, Level.WARN} if strict else {Level.BAD}
    return not any(each.level in bad for report in reports for each in report.findings)
