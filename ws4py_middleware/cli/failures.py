"""What the commands that connect to a server say of an end, and when there is no connection."""

from __future__ import annotations

from ..exc import HandshakeError
from ..extras import MissingExtraError
from .console import err
from .escaping import escape, escape_lines
from .statuses import REFUSED, TIMED_OUT, UNREACHABLE, USAGE

__all__ = ["describe_close", "report"]

#: Most that is shown of the body of a refusal; characters.
_BODY_LIMIT = 2000


def report(error: Exception) -> int:
    """
    Say on the standard error why there is no connection, and return the exit status.

    Args:
        error: What ``connect()``, or a client's constructor, has raised.

    Raises:
        Exception: That one, when it is none of those that they promise.
    """
    if isinstance(error, MissingExtraError):
        raise error
    if isinstance(error, HandshakeError):
        return _report_refusal(error)
    if isinstance(error, TimeoutError):
        err().print(f"timed out: {escape(str(error))}", style="red")
        return TIMED_OUT
    if isinstance(error, OSError):
        err().print(
            f"cannot connect: {escape(error.strerror or str(error) or type(error).__name__)}", style="red"
        )
        return UNREACHABLE
    if isinstance(error, ValueError):
        err().print(escape(str(error)), style="red")
        return USAGE
    raise error


def _report_refusal(error: HandshakeError) -> int:
    console = err()
    if not error.status:
        console.print(f"cannot connect: {escape(error.msg)}", style="red")
        return UNREACHABLE
    console.print(f"refused: {escape(error.msg)}", style="red")
    for name, value in error.headers:
        console.print(f"  {escape(name)}: {escape(value)}", style="dim")
    body = error.body.decode("utf-8", "replace").strip()
    if body:
        rest = len(body) - _BODY_LIMIT
        console.print()
        console.print(escape_lines(body[:_BODY_LIMIT]))
        if rest > 0:
            console.print(f"(and {rest} characters more)", style="dim")
    return REFUSED


def describe_close(code: int, reason: str | None) -> str:
    """
    Tell how a connection has ended, in a line.

    >>> describe_close(1000, "bye"), describe_close(4000, "")
    ('1000 (normal closure): bye', '4000')
    """
    name = _NAMES.get(code)
    text = str(code) if name is None else f"{code} ({name})"
    return f"{text}: {escape(reason)}" if reason else text


#: :rfc:`6455#section-7.4.1`, and those registered since.
_NAMES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code",
    1006: "connection lost",
    1007: "invalid text",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS failed",
}
