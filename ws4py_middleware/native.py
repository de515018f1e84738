"""
What every message needs of the system: the clock, the thread that asks, a lock.

``native.pyx`` has the same without Python's calls, for the compiled build.
"""

from __future__ import annotations

from _thread import RLock, get_ident
from time import monotonic

__all__ = ["Lock", "get_ident", "monotonic"]

#: The lock of one connection: who has it may take it again. The kernel's own, also under gevent's patches.
Lock = RLock
