"""
The socket in each process: who may ask, and what happens when they ask badly.

It has a thread of its own, and one more for each of the few clients that there are at a time: real ones, also
under gevent, whose hub would have to wait for them. Their sockets and locks are the ones below gevent's
patches, so that it makes no difference when these come.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import functools
import importlib
import logging
import os
import re
import stat
import struct
import sys
from collections.abc import Iterator
from typing import Any

from .commands import execute
from .protocol import MAX_ANSWER, MAX_REQUEST, TIMEOUT, AdminError, LineReader, decode, encode

__all__ = ["Endpoint", "check_path", "get_peer"]

logger = logging.getLogger("ws4py_middleware")

PID = "{pid}"

#: Most clients at a time, and most requests of one of them.
MAX_CLIENTS = 8
_MAX_REQUESTS = 10_000

#: How long nobody is accepted when the process has no descriptor or thread left; seconds.
_PAUSE = 1.0

#: What the kernel can put into an address; Linux has 108 with the zero at the end, others 104.
_MAX_PATH = 103

_BACKLOG = 16


def check_path(path: str) -> str:
    """
    Check a path, and make it absolute.

    Raises:
        ValueError: It is too long for a socket, or the name itself is missing.
    """
    absolute = os.path.abspath(path)
    if not os.path.basename(path) or "\0" in path:
        raise ValueError(f"{path!r} is no path of a socket; it is one such as '/run/app/ws-{{pid}}.sock'")
    if PID in os.path.dirname(absolute):
        raise ValueError(f"{path!r} has {{pid}} in a directory; it is in the name of the socket")
    length = len(os.fsencode(absolute.replace(PID, "4194304")))
    if length > _MAX_PATH:
        raise ValueError(f"{path!r} has {length} bytes; a Unix socket's path has at most {_MAX_PATH}")
    return absolute


def get_peer(sock: Any) -> int | None:
    """Return the user id of who is on the other side; ``None`` where the system cannot tell."""
    option = getattr(_socket, "SO_PEERCRED", None)
    if option is None:
        return None  # the mode of the file alone keeps others out
    _, uid, _ = struct.unpack("iII", sock.getsockopt(_socket.SOL_SOCKET, option, struct.calcsize("iII")))
    return int(uid)


class Endpoint:
    """
    The socket of this process.

    Args:
        path: Where it is; ``{pid}`` is replaced by the number of the process.
    """

    def __init__(self, path: str) -> None:
        self.template = check_path(path)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock: Any = _below_gevent("_thread", "allocate_lock")()
        self._clients = 0
        self._listener: Any = None
        self._inode: tuple[int, int] | None = None
        self._has_failed = False

    @property
    def path(self) -> str:
        """Where it is in this process."""
        return self.template.replace(PID, str(os.getpid()))

    def ensure(self, manager: object = None, *, user: tuple[int, int] | None = None) -> None:
        """
        Listen, if that is not done yet in this process; a failure is logged, once.

        Args:
            manager: Whichever asks for it.
            user: The numbers of the user and the group that root is about to become.
        """
        if self._listener is not None and self._pid == os.getpid():
            return
        self.forget()
        with self._lock:
            if self._listener is not None or self._has_failed:
                return
            try:
                _make_directory(os.path.dirname(self.path), user)
                with _acting_as(user):
                    self._listen()
            except (OSError, RuntimeError) as error:
                self._has_failed = True
                logger.error("there is no admin socket %s: %s", self.path, error)

    def forget(self) -> bool:
        """
        Forget, in a forked child, what is its parent's.

        Returns:
            Whether the parent has listened.
        """
        if self._pid == os.getpid():
            return self._listener is not None
        listener = self._listener
        self._begin()
        if listener is not None:
            listener.close()  # only this process' descriptor
        return listener is not None

    def stop(self) -> None:
        """Remove the socket, and listen no more; until the next connection, should there be one."""
        if self._pid != os.getpid():
            return
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is None:
                return
            with contextlib.suppress(OSError):
                found = os.stat(self.path, follow_symlinks=False)
                if (found.st_dev, found.st_ino) == self._inode:
                    os.unlink(self.path)
            with contextlib.suppress(OSError):
                listener.shutdown(_socket.SHUT_RDWR)  # its thread closes it

    def _listen(self) -> None:
        path = self.path
        _remove_stale(self.template)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            # Before it has a name: a later chmod() might find something else there. Linux takes it over.
            with contextlib.suppress(OSError):
                os.fchmod(listener.fileno(), 0o600)
            listener.bind(path)
            inode = _find_own(path)
            listener.settimeout(None)  # whatever is the default here
            listener.listen(_BACKLOG)
            _start_thread(self._accept, listener)
        except BaseException:
            listener.close()
            raise
        self._inode = inode
        self._listener = listener

    # --- its threads -----------------------------------------------------------------------------------

    def _accept(self, listener: Any) -> None:
        pause = _below_gevent("_thread", "allocate_lock")()
        pause.acquire()
        while True:
            try:
                fd, _ = listener._accept()
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EINTR):
                    continue
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    pause.acquire(timeout=_PAUSE)
                    continue
                listener.close()
                return
            sock = _socket.socket(fileno=fd)
            try:
                _start_thread(self._serve, sock)
            except RuntimeError:  # there is no room for another thread
                sock.close()
                pause.acquire(timeout=_PAUSE)

    def _serve(self, sock: Any) -> None:
        with self._lock:
            self._clients += 1
            is_one_too_many = self._clients > MAX_CLIENTS
        try:
            with contextlib.suppress(OSError):  # who asks is gone
                _check_peer(sock)
                if is_one_too_many:
                    raise AdminError(f"there are {MAX_CLIENTS} clients already; try again later")
                _converse(sock)
        except AdminError as error:
            with contextlib.suppress(OSError):
                _answer(sock, _refusal(str(error)))
        finally:
            sock.close()
            with self._lock:
                self._clients -= 1


def _check_peer(sock: Any) -> None:
    uid = get_peer(sock)
    if uid not in (None, 0, os.geteuid()):
        raise AdminError("this is for the user of the process, and for root")


def _converse(sock: Any) -> None:
    reader = LineReader(sock, MAX_REQUEST)
    for _ in range(_MAX_REQUESTS):
        line = reader.read(TIMEOUT)
        if line is None:
            return
        try:
            answer = encode(execute(decode(line)))
        except AdminError as error:
            answer = _refusal(str(error))
        except Exception:  # also where JSON has no notation for what an application has somewhere
            logger.exception("a fault in a command of the admin socket")
            answer = _refusal("an internal error; the log of the process has it")
        _answer(sock, answer)


def _refusal(why: str) -> bytes:
    return encode({"ok": False, "error": why})


def _answer(sock: Any, line: bytes) -> None:
    if len(line) > MAX_ANSWER:
        line = _refusal("the answer is too long; ask for fewer by limit")
    sock.settimeout(TIMEOUT)  # for all of it
    sock.sendall(line)


# --- the file ----------------------------------------------------------------------------------------------


def _make_directory(directory: str, user: tuple[int, int] | None) -> None:
    """Make the directory, if it is not there, for its owner alone."""
    if os.path.isdir(directory):
        return
    os.makedirs(directory, 0o700, exist_ok=True)
    if user is not None:
        # By its descriptor, since others may have put something else there by now.
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(fd, *user)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _acting_as(user: tuple[int, int] | None) -> Iterator[None]:
    """Be somebody else than root for a moment: in their directory only what they may do is done."""
    if user is None:
        yield
        return
    former = os.geteuid(), os.getegid()
    os.setegid(user[1])
    os.seteuid(user[0])
    try:
        yield
    finally:
        os.seteuid(former[0])
        os.setegid(former[1])


def _find_own(path: str) -> tuple[int, int]:
    """
    Return what a socket is known by that was just bound.

    Raises:
        OSError: Somebody has put something else in its place, or its mode cannot be set.
    """
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError("somebody has put something else in its place")
    if stat.S_IMODE(found.st_mode) & 0o077:  # where a mode comes only with the name
        os.chmod(path, 0o600, follow_symlinks=False)
    return found.st_dev, found.st_ino


def _remove_stale(template: str) -> None:
    """
    Remove the sockets of processes that are no more.

    Raises:
        OSError: There is something else in the place of ours: a file, or the socket of a live process.
    """
    own = template.replace(PID, str(os.getpid()))
    directory, name = os.path.split(template)
    head, _, tail = name.partition(PID)
    paths = [own]
    for entry in os.listdir(directory) if PID in name else ():
        match = re.fullmatch(f"{re.escape(head)}([0-9]{{1,10}}){re.escape(tail)}", entry)
        # Who lives may be about to listen.
        if match is not None and not _is_alive(int(match[1])):
            paths.append(os.path.join(directory, entry))
    for path in paths:
        if _is_stale(path):
            with contextlib.suppress(FileNotFoundError):  # another worker was quicker
                os.unlink(path)
    if os.path.lexists(own):
        hint = "" if PID in template else "; with several processes {pid} stands in its name"
        raise OSError(f"it is there already, and not left over by a process that has ended{hint}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _is_stale(path: str) -> bool:
    """Tell whether nobody listens; also in another container, where processes have other numbers."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        return False
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        probe.settimeout(0.2)
        probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    finally:
        probe.close()
    return False


# --- below gevent ------------------------------------------------------------------------------------


def _below_gevent(module: str, name: str) -> Any:
    """Return something of the standard library's as it was before gevent has patched it."""
    # It has none while another thread is just importing it: then it has patched nothing yet.
    get_original = getattr(sys.modules.get("gevent.monkey"), "get_original", None)
    if get_original is not None:
        return get_original(module, name)
    return getattr(importlib.import_module(module), name)


def _start_thread(function: Any, *args: Any) -> None:
    """Start a thread that nobody waits for; :mod:`threading` has others in gevent's greenlets."""
    _below_gevent("_thread", "start_new_thread")(functools.partial(function, *args), ())
