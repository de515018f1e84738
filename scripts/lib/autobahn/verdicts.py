"""Read what wstest reports: which verdicts are fine, how many there are, what to print."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

#: Verdicts that a conforming peer gets. INFORMATIONAL: the RFC leaves the choice open.
FINE = frozenset({"OK", "INFORMATIONAL"})
ORDER = (
    "OK",
    "NON-STRICT",
    "INFORMATIONAL",
    "UNIMPLEMENTED",
    "WRONG CODE",
    "UNCLEAN",
    "FAILED BY CLIENT",
    "NO_CLOSE",
    "FAILED",
    "MISSING",
)

#: How many cases are told of that are not fine: of a target that does not work, every one is.
MANY = 30


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What wstest says about one case."""

    case: str
    behavior: str
    close: str
    duration: float
    reason: str = ""

    @property
    def fine(self) -> bool:
        """Whether the peer did right, and its connection ended rightly, too."""
        return self.behavior in FINE and self.close in FINE

    @property
    def section(self) -> int:
        """The number before the first dot."""
        return int(self.case.split(".", maxsplit=1)[0])


def sort_key(case: str) -> tuple[int, ...]:
    """Sort 9.10.1 behind 9.9.1."""
    return tuple(int(part) for part in case.split("."))


def read_verdicts(folder: Path, cases: Sequence[str]) -> list[Verdict]:
    """
    Read the verdicts of a run on ``cases`` from its folder.

    A case without a result is MISSING: a server that dies halfway does not pass.
    """
    path = folder / "index.json"
    index = json.loads(path.read_text()) if path.exists() else {}
    results: dict[str, Any] = next(iter(index.values()), {})
    verdicts = []
    for case in sorted(cases, key=sort_key):
        result = results.get(case)
        if result is None:
            verdicts.append(Verdict(case, "MISSING", "MISSING", 0.0))
            continue
        verdict = Verdict(case, result["behavior"], result["behaviorClose"], result["duration"] / 1000)
        if not verdict.fine:
            report = json.loads((folder / result["reportfile"]).read_text())
            verdict = dataclasses.replace(verdict, reason=f"{report['result']} {report['resultClose']}")
        verdicts.append(verdict)
    return verdicts


def count(values: Iterable[str]) -> str:
    """Count verdicts in words, the best ones first."""
    counter = Counter(values)
    names = [name for name in ORDER if counter[name]] + sorted(set(counter) - set(ORDER))
    return ", ".join(f"{name} {counter[name]}" for name in names) or "none"


def format_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Format a run for reading: by section, and each case that is not fine with its reason."""
    lines = []
    for section in sorted({verdict.section for verdict in verdicts}):
        here = [verdict for verdict in verdicts if verdict.section == section]
        lines.append(
            f"  {section:3}.* {len(here):4} cases {sum(v.duration for v in here):7.1f} s   "
            f"{count(v.behavior for v in here)} | closes: {count(v.close for v in here)}"
        )
    lines.append(
        f"  in all {len(verdicts):3} cases {sum(v.duration for v in verdicts):7.1f} s   "
        f"{count(v.behavior for v in verdicts)} | closes: {count(v.close for v in verdicts)}"
    )
    odd = [verdict for verdict in verdicts if not verdict.fine and verdict.behavior != "MISSING"]
    lines += [
        f"  {v.case:8} {v.behavior}, close {v.close}, {v.duration:.1f} s: {v.reason}" for v in odd[:MANY]
    ]
    if len(odd) > MANY:
        lines.append(f"  ... and {len(odd) - MANY} more")
    missing = [verdict.case for verdict in verdicts if verdict.behavior == "MISSING"]
    if missing:
        lines.append(f"  MISSING: {', '.join(missing)}")
    return "\n".join(lines)
