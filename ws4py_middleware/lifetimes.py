"""Lifetimes: what follows from the answer to whether a connection may last any longer."""

from __future__ import annotations

import inspect
from time import monotonic
from typing import Any

from .core.types import CloseCode, State

__all__ = ["reauthorize", "reauthorize_async"]


def reauthorize(link: Any) -> None:
    """Ask the handler of a link whether it may go on; in its turn, as one of its callbacks."""
    link.conn.deadlines.lifetime_over = False
    hook = link.handler.reauthorize
    link._callback(lambda: _judge(link, hook()))


async def reauthorize_async(link: Any) -> None:
    """Ask a handler whose hooks may be ``async def``."""

    async def ask() -> None:
        answer = hook()
        _judge(link, await answer if inspect.isawaitable(answer) else answer)

    link.conn.deadlines.lifetime_over = False
    hook = link.handler.reauthorize
    await link._callback_async(ask)


def _judge(link: Any, answer: object) -> None:
    """Let a connection go on for another ``policy.max_lifetime``, or close it with 1008."""
    if answer is not None and not isinstance(answer, bool):
        if inspect.iscoroutine(answer):
            answer.close()
            raise TypeError("reauthorize is async, which an AsyncWebSocket can have, and no other")
        raise TypeError(
            f"reauthorize returned {answer!r}; it returns True or None to go on, and False to end it"
        )
    with link._lock:
        conn = link.conn
        if conn.state is not State.OPEN:
            return  # it has ended while that was asked
        if answer is False:
            conn.fail(CloseCode.POLICY_VIOLATION, "it is not allowed any longer", monotonic())
        else:
            conn.deadlines.renew(conn._now)  # of its own clock: when the last one was over
