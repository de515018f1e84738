"""Write docs/topics/conformance.md from the reports of a run of all cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.lib.autobahn.targets import TARGETS, Target
from scripts.lib.autobahn.verdicts import Verdict, count

HEAD = """\
# Conformance

<!-- Written by `scripts/autobahn none --write-docs` from the reports of `all`; do not edit. -->

The [Autobahn testsuite](https://github.com/crossbario/autobahn-testsuite) has {cases} cases. Its client
goes through them with the echo server of `examples/echo`; its server goes through them with clients that send
every message back. The limits are raised to what the suite needs (messages of 16 MiB; 65,536 fragments and an
empty one that ends the message), and permessage-deflate is switched on. Each case is judged twice: did this
end do the right thing, and did the connection end rightly.

`scripts/autobahn all` does the same from a checkout anywhere; `.ci/run` runs the `ci` set (all but most of
the compression cases, which take long) against each of them, and fails on anything but `OK` and
`INFORMATIONAL`, or what is listed below. In the informational cases (7.1.6, 7.13.1 and 7.13.2) the RFC leaves
the choice open.
"""

SERVERS = """\
## Servers

Under gunicorn (one worker) and CherryPy every byte is this project's. Under ASGI it is the server that
speaks the protocol, and the verdicts are the server's; what it is known to do otherwise is listed below.
"""

CLIENTS = """\
## Clients

The clients answer in `received_message()`. Some cases send a message and, in the same packet, something that
is forbidden: the hook's answer leaves before the connection is ended. Whoever asks for messages with
`receive()` has the message as well, but may find the connection closed when he answers, which the suite calls
non-strict: in ten cases (3.2-3.4, 4.1.3-4.1.5, 4.2.3-4.2.5 and 5.15) for the asyncio client in `async for`.
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

| client | OK | non-strict | informational | unimplemented | failed |
|---|---:|---:|---:|---:|---:|
| websockets 17.4, asyncio, in `async for` | 494 | 13 | 3 | 0 | 7 |
| ws4py 0.6.0, threaded | 228 | 4 | 3 | 216 | 66 |
"""

#: The verdicts of each target, by its name.
Runs = Mapping[str, Sequence[Verdict]]


def build_page(runs: Runs, sections: Mapping[str, str], versions: str) -> str:
    """Build the page, from the verdicts of each server and client."""
    cases = max(len(verdicts) for verdicts in runs.values())
    servers = {name: verdicts for name, verdicts in runs.items() if not TARGETS[name].is_client}
    clients = {name: verdicts for name, verdicts in runs.items() if TARGETS[name].is_client}
    lines = [HEAD.format(cases=cases), SERVERS, *_build_verdicts("server", servers), ""]
    lines += [CLIENTS, *_build_verdicts("client", clients), "", f"{versions}.", "", "## By section", ""]
    lines += [*_build_sections(servers, sections), "", *_build_sections(clients, sections)]
    for name, verdicts in runs.items():
        lines += _list_odd(TARGETS[name], [verdict for verdict in verdicts if not verdict.fine])
    return "\n".join([*lines, "", OTHERS])


def _build_verdicts(what: str, runs: Runs) -> list[str]:
    lines = [f"| {what} | cases | verdicts | closes |", "|---|---:|---|---|"]
    for name, verdicts in runs.items():
        lines.append(
            f"| {TARGETS[name].title} | {len(verdicts)} | {count(v.behavior for v in verdicts)} "
            f"| {count(v.close for v in verdicts)} |"
        )
    return lines


def _build_sections(runs: Runs, sections: Mapping[str, str]) -> list[str]:
    lines = [f"| section | cases | {' | '.join(TARGETS[name].title for name in runs)} |"]
    lines += [f"|---|---:|{'---|' * len(runs)}"]
    for section in sorted({verdict.section for verdicts in runs.values() for verdict in verdicts}):
        here = [[v for v in verdicts if v.section == section] for verdicts in runs.values()]
        told = " | ".join(count(v.behavior for v in verdicts) for verdicts in here)
        lines.append(f"| {section}: {sections.get(str(section), '')} | {len(here[0])} | {told} |")
    return lines


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
