"""The other side of the sockets: find those of an application, and ask each of them."""

from __future__ import annotations

import errno
import glob
import os
import socket
import stat
from collections.abc import Iterator
from typing import Any

from ..core.counts import Counts
from ..figures import ManagerStats
from .protocol import MAX_ANSWER, MAX_PAGE, TIMEOUT, AdminError, LineReader, decode, encode
from .server import PID, get_peer

__all__ = ["Worker", "add_up", "find_sockets", "list_connections"]

#: How long an answer may take: a process that is busy takes its time; seconds.
_PATIENCE = 2 * TIMEOUT


def find_sockets(place: str) -> list[str]:
    """
    Find the sockets of an application.

    Args:
        place: A directory, which has all of them; one socket; or a path with ``{pid}``.

    Raises:
        AdminError: There is none.
    """
    if PID in place:
        found = glob.glob(glob.escape(place).replace(PID, "[0-9]*"))
    elif os.path.isdir(place):
        found = [entry.path for entry in os.scandir(place)]
    else:
        found = [place]
    sockets = sorted(path for path in found if _is_socket(path))
    if not sockets:
        raise AdminError(f"there is no socket at {place!r}")
    return sockets


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise AdminError(f"{path!r} cannot be looked at: {error.strerror}") from None


class Worker:
    """
    A conversation with one process.

    Args:
        path: Its socket.

    Raises:
        ConnectionRefusedError: The process has ended, and left its socket behind.
        AdminError: It does not answer.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX)
        try:
            self._sock.settimeout(TIMEOUT)
            self._sock.connect(path)
            _check_owner(self._sock, path)
        except OSError as error:
            self._sock.close()
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                raise ConnectionRefusedError(f"{path}: nobody listens") from None
            raise AdminError(f"{path}: {error.strerror or error}") from None
        except AdminError:
            self._sock.close()
            raise
        self._reader = LineReader(self._sock, MAX_ANSWER)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self._sock.close()

    def ask(self, command: str, **options: Any) -> dict[str, Any]:
        """
        Ask for something, and return the answer.

        Raises:
            AdminError: There is none, or it says why not.
        """
        request = {name: value for name, value in options.items() if value is not None}
        try:
            self._send(encode({"command": command, **request}))
            line = self._reader.read(_PATIENCE)
        except TimeoutError:
            raise AdminError(f"{self.path}: no answer within {_PATIENCE:g} s") from None
        except OSError as error:
            raise AdminError(f"{self.path}: {error.strerror or error}") from None
        if line is None:
            raise AdminError(f"{self.path}: the process has ended")
        answer = decode(line)
        if answer.get("ok") is not True:
            raise AdminError(str(answer.get("error", "it was refused")))
        return answer

    def _send(self, line: bytes) -> None:
        self._sock.settimeout(TIMEOUT)
        try:
            self._sock.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has refused us, and said why: that is still to be read


def _check_owner(sock: socket.socket, path: str) -> None:
    """Check that nobody else has put a socket in the place of ours."""
    uid = get_peer(sock)
    if uid is not None and os.geteuid() != 0 and uid not in (0, os.geteuid()):
        raise AdminError(f"{path}: it belongs to another user")


def list_connections(worker: Worker, limit: int | None, **filters: Any) -> tuple[list[dict[str, Any]], int]:
    """
    Ask for connections, page by page.

    Args:
        worker: Whom.
        limit: Most connections; ``None`` for all.
        filters: Which ones: ``route``, ``address``, ``room``.

    Returns:
        The connections, and how many there are in all.
    """
    found: list[dict[str, Any]] = []
    total = 0
    after = None
    while True:
        page = MAX_PAGE if limit is None else min(MAX_PAGE, limit - len(found))
        answer = worker.ask("list", limit=page, after=after, **filters)
        found += answer["connections"]
        total = max(total, answer["total"])
        after = answer["next"]
        if after is None or (limit is not None and len(found) >= limit):
            return found, total


def add_up(several: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of the figures of processes, as a dictionary like theirs."""
    whole = ManagerStats()
    names = {*Counts.__dataclass_fields__, *ManagerStats.__dataclass_fields__}
    for figures in several:
        # One that runs another release may know others.
        whole.merge(ManagerStats(**{name: figures[name] for name in names if name in figures}))
    return whole.as_dict()
