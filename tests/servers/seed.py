"""
A code block of ws4py's documents that serves, or blocks otherwise: a script of its own, run as it is.

The ``app`` is a file that holds the block. It is written for a fixed port, on all addresses of the machine;
both are replaced, and nothing else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.servers.kinds import Kind, Setup

# A parent that was itself started in the background hands SIGINT on as ignored.
_RUN = (
    "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


def _command(setup: Setup) -> list[str]:
    block = Path(setup.app).read_text(encoding="utf-8")
    block, count = re.subn(r"\b900[07]\b", str(setup.port), block)
    assert count == 1, "the port of the block"
    script = Path(setup.app).with_name("script.py")
    script.write_text(block.replace(f"'', {setup.port}", f"'127.0.0.1', {setup.port}"), encoding="utf-8")
    return [sys.executable, "-c", _RUN, str(script)]


FAMILY = {"seed": Kind(command=_command, interface="script", ends_by_sigint=True, everywhere=False)}
