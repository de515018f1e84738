"""
The protocol, sans I/O: bytes in, events and bytes out.

Nothing in here knows a socket, a thread, a clock, a file or a framework; time
is an argument. See :mod:`ws4py_middleware.core.connection` for the way in.
"""

from __future__ import annotations

from .._build import COMPILED

#: Whether the hot path is compiled; ``WS4PY_MIDDLEWARE_PURE=1`` in the environment has it run in pure Python.
__all__ = ["COMPILED"]
