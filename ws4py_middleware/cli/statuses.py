"""
The exit statuses, the same in all commands that connect to a server.

What a command does not tell of in its ``--help`` it does not return.
"""

from __future__ import annotations

__all__ = [
    "ABNORMAL",
    "DONE",
    "INTERRUPTED",
    "PIPE_CLOSED",
    "REFUSED",
    "TIMED_OUT",
    "UNREACHABLE",
    "USAGE",
]

DONE, ABNORMAL, USAGE, REFUSED, UNREACHABLE, TIMED_OUT = range(6)

#: The exit status after Ctrl-C, as shells have it: 128 and the signal's number.
INTERRUPTED = 130

#: The one when nobody reads our output any more, by the same rule.
PIPE_CLOSED = 141
