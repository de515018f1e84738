"""What the servers of these tests do beside serving: they tell where, and go when the test has gone."""

from __future__ import annotations

import json
import sys


def announce(plain: int, deflate: int) -> None:
    """Print the URLs at these ports, without compression and with it."""
    sys.stdout.write(
        json.dumps(
            {mode: f"ws://127.0.0.1:{port}/{mode}" for mode, port in (("plain", plain), ("deflate", deflate))}
        )
        + "\n"
    )
    sys.stdout.flush()


def wait_for_eof() -> None:
    """Wait until stdin is closed, by the test or with its process."""
    sys.stdin.read()
