"""Write docs/conformance.md from the reports of a run of all cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.lib.autobahn.targets import TARGETS, Target
from scripts.lib.autobahn.verdicts import Verdict, count

HEAD = """\
# Conformance

<!-- Written by `scripts/autobahn none --write-docs` from the reports of `all`; do not edit. -->

The [Autobahn testsuite](https://github.com/crossbario/autobahn-testsuite) sends {cases} cases to the
echo server of `examples/echo`, with the limits raised to what the suite needs (messages of 16 MiB;
65,536 fragments and an empty one that ends the message) and permessage-deflate switched on. Each case is
judged twice: did the server do the right thing, and did the connection end rightly.

Under gunicorn (one worker) and CherryPy every byte is this project's. Under ASGI it is the server that
speaks the protocol, and the verdicts are the server's; what it is known to do otherwise is listed below.

`scripts/autobahn all` does the same from a checkout anywhere; `.ci/run` runs the `ci` set (all but the
long compression cases) and fails on anything but `OK` and `INFORMATIONAL`, or what is listed below. In the
informational cases (7.1.6, 7.13.1 and 7.13.2) the RFC leaves the choice open.
"""

OTHERS = """\
## For comparison

From earlier measurements of this project with the same suite and Python 3.11 (not repeated by each run):

| server | OK | non-strict | informational | unimplemented | failed | unclean or wrong closes |
|---|---:|---:|---:|---:|---:|---:|
| websockets 17.4 | 496 | 11 | 3 | 0 | 7 | 7 |
| simple-websocket (flask-sock), gunicorn gthread | 503 | 9 | 3 | 0 | 2 | 12 |
| simple-websocket (flask-sock), gunicorn gevent (487 cases) | 468 | 10 | 3 | 0 | 6 | 6 |
| ws4py 0.6.0 | 286 | 2 | 3 | 216 | 10 | 11 |
| gevent-websocket | 296 | 2 | 3 | 216 | 0 | 2 |
"""


def build_page(runs: Mapping[str, Sequence[Verdict]], sections: Mapping[str, str], versions: str) -> str:
    """Build the page, from the verdicts of each server."""
    cases = max(len(verdicts) for verdicts in runs.values())
    lines = [HEAD.format(cases=cases), "## Verdicts", ""]
    lines += ["| server | cases | verdicts | closes |", "|---|---:|---|---|"]
    for name, verdicts in runs.items():
        lines.append(
            f"| {TARGETS[name].title} | {len(verdicts)} | {count(v.behavior for v in verdicts)} "
            f"| {count(v.close for v in verdicts)} |"
        )
    lines += ["", f"{versions}.", "", "## By section", ""]
    lines += [f"| section | cases | {' | '.join(TARGETS[name].title for name in runs)} |"]
    lines += [f"|---|---:|{'---|' * len(runs)}"]
    first = next(iter(runs.values()))
    for section in sorted({verdict.section for verdict in first}):
        here = [[v for v in verdicts if v.section == section] for verdicts in runs.values()]
        told = " | ".join(count(v.behavior for v in verdicts) for verdicts in here)
        lines.append(f"| {section}: {sections.get(str(section), '')} | {len(here[0])} | {told} |")
    for name, verdicts in runs.items():
        lines += _list_odd(TARGETS[name], [verdict for verdict in verdicts if not verdict.fine])
    return "\n".join([*lines, "", OTHERS])


def _list_odd(target: Target, odd: Sequence[Verdict]) -> list[str]:
    """List the cases that are not fine, those with the same outcome together."""
    if not odd:
        return []
    groups: dict[tuple[str, str], list[str]] = {}
    for verdict in odd:
        groups.setdefault((verdict.behavior, verdict.close), []).append(verdict.case)
    whose = "the server's own code does these otherwise" if target.asgi else "not fine"
    lines = ["", f"## {target.title}: {whose}", ""]
    for (behavior, close), cases in groups.items():
        lines.append(f"- {behavior}, close {close}: {', '.join(cases)}")
    return lines
