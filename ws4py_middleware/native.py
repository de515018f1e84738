"""
What every message needs of the system: the clock, the thread that asks, a lock.

``native.pyx`` has the same without Python's calls, for the compiled build.
"""

from __future__ import annotations

from _thread import RLock, get_ident
from time import monotonic
from typing import TYPE_CHECKING

__all__ = ["Lock", "get_ident", "monotonic"]

if TYPE_CHECKING:

    class Lock:
        """The lock of one connection: who has it may take it again. The kernel's own, also under gevent."""

        def acquire(self, blocking: bool = True) -> bool:
            """Take it; return whether that came about: not, when the caller would have had to wait."""

        def release(self) -> None:
            """
            Give it back, once for each time that it was taken.

            Raises:
                RuntimeError: The caller does not have it.
            """

        def enter(self) -> object:
            """Take it, as :meth:`acquire`; where it is compiled, a free one by a comparison."""

        def leave(self) -> object:
            """Give it back, by one who has it."""

        def __enter__(self) -> bool: ...
        def __exit__(self, *_: object) -> None: ...

else:

    class Lock(RLock):
        __slots__ = ()

        enter = RLock.acquire
        leave = RLock.release
