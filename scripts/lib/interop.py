"""Write docs/topics/interop.md: what tests/interop try with whom; ``python -m scripts.lib.interop``."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Protocol

from tests.interop.cases import THINGS
from tests.interop.foreign.clients import CLIENTS
from tests.interop.foreign.node import FOLDER, find_node
from tests.interop.servers import OURS, THEIRS
from tests.servers import ROOT

PAGE = ROOT / "docs" / "topics" / "interop.md"

PACKAGES = ("websockets", "websocket-client", "aiohttp", "tornado")

HEAD = """\
# With other libraries

<!-- Written by `python -m scripts.lib.interop`; do not edit. -->

The tests let clients of other libraries speak to our servers, and each of our
[clients](../howto/clients.md) to the servers of other libraries, all of it without compression and with
it. Where a cell does not say "yes", the other library has no call for it or does not do it;
the number leads to the reason.
"""

WSPROTO = """\
- On Hypercorn and on uvicorn's `--ws wsproto` a message is lost that comes compressed, in fragments, with a
  ping between them: [wsproto#205](https://github.com/python-hyper/wsproto/pull/205).
"""


TORNADO = """\
- A client that asks for `server_no_context_takeover` cannot connect to tornado, which agrees without it.
"""


class Party(Protocol):
    """A client or server of the tests."""

    @property
    def title(self) -> str: ...

    @property
    def lacks(self) -> Mapping[str, str]: ...


def build_page(versions: str) -> str:
    """Build the page from what the tests try."""
    ours = ", ".join(server.title for server in OURS.values())
    lines = [HEAD, "## Their clients, our servers", "", f"The servers are {ours}.", ""]
    lines += [*_build_table(CLIENTS.values()), "", *_build_limits(), WSPROTO]
    lines += ["## Our clients, their servers", "", *_build_table(THEIRS.values()), "", TORNADO]
    return "\n".join([*lines, f"Measured with {versions}.", ""])


def _build_table(parties: Iterable[Party]) -> list[str]:
    parties = list(parties)
    reasons: list[str] = []
    lines = ["| |" + "".join(f" {party.title} |" for party in parties), "|---|" + "---|" * len(parties)]
    for thing, words in THINGS.items():
        cells = "".join(f" {_build_cell(party.lacks, thing, reasons)} |" for party in parties)
        lines.append(f"| {words} |{cells}")
    return [*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]


def _build_cell(lacks: Mapping[str, str], thing: str, reasons: list[str]) -> str:
    compressed = f"{thing}, compressed"
    for name, words in ((thing, "–"), (compressed, "not compressed")):
        if name in lacks:
            reason = lacks[name]
            if reason not in reasons:
                reasons.append(reason)
            return f"{words} ({reasons.index(reason) + 1})"
    return "yes"


def _build_limits() -> Iterable[str]:
    for server in OURS.values():
        for thing, reason in server.lacks.items():
            yield f"- Not on {server.title}: {THINGS[thing]}. {reason}"


def get_versions() -> str:
    """Tell what the page was made with."""
    node = subprocess.run(
        [*find_node(), "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    ws = json.loads((FOLDER / "node_modules" / "ws" / "package.json").read_text())["version"]
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *packages, f"Node {node[1:]}", f"ws {ws}"])


def main() -> None:
    """Write the page."""
    PAGE.write_text(build_page(get_versions()), encoding="utf-8")
    print(f"== wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
