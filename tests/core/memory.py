"""How much memory a piece of a test holds; on CPython only: such tests have the marker of that name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def trace_memory() -> Iterator[Callable[[], tuple[int, int]]]:
    """Trace what is allocated inside; call what it yields for the bytes held now, and the most there were."""
    import tracemalloc

    tracemalloc.start()
    try:
        yield tracemalloc.get_traced_memory
    finally:
        tracemalloc.stop()


def trace_peak(call: Callable[[], object]) -> int:
    """Return the most memory that a call holds at once."""
    with trace_memory() as measure:
        call()
        return measure()[1]
