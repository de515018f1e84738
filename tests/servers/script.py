"""
An example that is its own server: ``python app.py --port PORT``.

The ``app`` is the script's path below the root of the checkout. Of TLS it is told by ``--certificate FILE
--key FILE``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.kinds import Kind, Setup

ROOT = Path(__file__).resolve().parents[2]


def _command(setup: Setup) -> list[str]:
    tls = ["--certificate", setup.pem[0], "--key", setup.pem[1]] if setup.pem else []
    return [sys.executable, str(ROOT / setup.app), "--port", str(setup.port), *tls, *setup.options]


FAMILY = {"script": Kind(command=_command, interface="script", everywhere=False)}
