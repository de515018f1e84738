"""
What ``epoll`` tells, in a poller's own flags.

``epolls.pyx`` asks the kernel itself, and keeps the GIL as long as it need not wait.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import select

__all__ = ["HANGUP", "READ", "WRITE", "wait_epoll"]

READ = 1
WRITE = 2
#: The connection is gone in both directions; reported also to those that do not read.
HANGUP = 4

# The longest time that the kernel can be told, about; who comes back too early asks again.
_MOST = 2e6


def wait_epoll(epoll: select.epoll, timeout: float) -> list[tuple[int, int]]:
    """
    Wait until descriptors are ready.

    Args:
        timeout: Seconds; infinity waits for as long as it takes, 0 does not wait.

    Returns:
        Pairs of a descriptor and a combination of ``READ``, ``WRITE`` and ``HANGUP``.

    Raises:
        ValueError: The epoll object is closed.
    """
    # The kernel's READ, WRITE, ERR and HUP are 1, 4, 8 and 16.
    return [
        (fd, flags & 1 | (flags & 4) >> 1 | (HANGUP if flags & 24 else 0))
        for fd, flags in epoll.poll(-1 if timeout == math.inf else min(timeout, _MOST))
    ]
