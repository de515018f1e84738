"""Write docs/topics/servers.md from what the matrix has seen; ``scripts/servers`` is the entrance."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from tests.matrix.columns import COLUMNS, GRACE
from tests.matrix.rows import TABLES, Row
from tests.servers import ROOT

PAGE = ROOT / "docs" / "topics" / "servers.md"
REPORT = ROOT / "reports" / "matrix.json"

#: Row → flavour → column → outcome.
Outcomes = Mapping[str, Mapping[str, Mapping[str, str]]]

PACKAGES = (
    *("gunicorn", "gevent", "werkzeug", "django", "cheroot", "cherrypy", "uwsgi", "waitress"),
    *("uvicorn", "websockets", "wsproto", "hypercorn", "daphne", "granian"),
)

HEAD = f"""\
# Servers

<!-- Written by `scripts/servers --write-docs`; do not edit. -->

The same handlers, unchanged, on every server, each as it is started by its own command with one process.
The tests start each of them, plain (`ws`) and over TLS (`wss`), and try the following; a test compares this
page with what they expect to see.

- **early**: frames in the same segment as the request (small ones; 20 kB and the half of a frame) are kept;
- **held**: so many open sockets echo while HTTP is answered beside them; servers that answer one request at a
  time hold 50, the others 200 (with two threads, where there is a number of threads);
- **close**: closing handshakes that either side begins, each with the end of the TCP connection (and of TLS);
- **5 MB**: a message of this size to and fro;
- **descriptors**: how many are left when some clients have closed and others have vanished;
- **log**: the line that the access log has of an upgrade;
- **stop**: the Close frame that open connections get on SIGTERM; the process ends within {GRACE:.0f} seconds;
- **errors**: what of all this makes the server print errors or tracebacks.

A cell in **bold** is a limit of the server; its number leads to the reason below the table.
"""

TITLES = ("early", "held", "close", "5 MB", "descriptors", "log", "stop", "errors")


def build_page(outcomes: Outcomes, versions: str) -> str:
    """Build the page; what has not been tried is an error."""
    lines = [HEAD]
    for title, rows in TABLES.items():
        lines += [f"## {title}", "", *_build_table(rows, outcomes), ""]
    return "\n".join([*lines, f"Measured with {versions}.", ""])


def _build_table(rows: Iterable[Row], outcomes: Outcomes) -> list[str]:
    lines = [f"| server | | {' | '.join(TITLES)} |", "|---|---|" + "---|" * len(TITLES)]
    reasons: list[str] = []
    for row in rows:
        told: dict[str, list[str]] = {}
        for flavour in row.flavours:
            cells = " | ".join(
                _build_cell(row, flavour, column, outcomes[row.name][flavour][column], reasons)
                for column in COLUMNS
            )
            told.setdefault(cells, []).append(flavour)
        lines += [f"| {row.title} | {', '.join(flavours)} | {cells} |" for cells, flavours in told.items()]
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return [*lines, "", *notes] if notes else lines


def _build_cell(row: Row, flavour: str, column: str, outcome: str, reasons: list[str]) -> str:
    limit = row.get_limits(flavour).get(column)
    note = row.notes.get(column, "")
    if limit is not None:
        note, outcome = limit.reason, f"**{outcome}**"
    if not note:
        return outcome
    if note not in reasons:
        reasons.append(note)
    return f"{outcome} ({reasons.index(note) + 1})"


def get_versions() -> str:
    """Tell what the page was made with."""
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]
    )


def main() -> None:
    """Write the page."""
    try:
        page = build_page(json.loads(REPORT.read_text()), get_versions())
    except (FileNotFoundError, KeyError) as error:
        sys.exit(f"servers: not all of the matrix has been tried; run scripts/servers ({error!r})")
    PAGE.write_text(page, encoding="utf-8")
    print(f"== wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
