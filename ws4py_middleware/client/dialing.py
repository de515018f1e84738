"""
The driver that blocks: it does the steps of an opening on a socket, within one deadline.

Names, addresses, TCP or a Unix socket, TLS. Addresses are tried one after the other, each
with its share of the time that is left, so that one that swallows packets does not use up
the time of those behind it. What fails is an :exc:`OSError` that says where, and leaves no
descriptor behind.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import Any, ClassVar, TypeVar

from .steps import Conversation, Dial, DialUnix, Receive, Send, StartTLS, Step

__all__ = [
    "RETRY",
    "Deadline",
    "Waits",
    "connect_tcp",
    "connect_unix",
    "drive",
    "is_address",
    "no_address",
    "no_connection",
]

_Result = TypeVar("_Result")

#: Until a Unix socket with a full backlog is asked again; seconds.
RETRY = 0.01

#: Most that is read at once; bytes.
_SIZE = 65536


class Deadline:
    """
    A point in time for several steps; each asks what is left, and names itself when there is nothing.

    Args:
        timeout: Seconds; ``None`` is never.
        setting: What the time-out is called, for the message.
    """

    def __init__(self, timeout: float | None, setting: str = "open_timeout") -> None:
        self.timeout = timeout
        self.setting = setting
        self._when = None if timeout is None else monotonic() + timeout

    def left(self, step: str) -> float | None:
        """
        Return the seconds that are left.

        Raises:
            TimeoutError: There are none; ``step`` is what took them.
        """
        if self._when is None:
            return None
        left = self._when - monotonic()
        if left <= 0:
            raise self.error(step)
        return left

    def error(self, step: str) -> TimeoutError:
        """Make the error that says which step was not done in time."""
        return TimeoutError(f"{step} was not done within {self.timeout:g} s ({self.setting})")

    @contextmanager
    def guard(self, sock: Any, step: str) -> Iterator[None]:
        """
        Let one call of a socket take the time that is left.

        Raises:
            TimeoutError: It took longer.
        """
        with self.watch(sock):
            sock.settimeout(self.left(step))
            try:
                yield
            except TimeoutError:
                raise self.error(step) from None

    @contextmanager
    def watch(self, sock: Any) -> Iterator[None]:
        """Be told of each socket that somebody waits for, while they do."""
        yield


class Waits:
    """What makes a driver wait beside its sockets, in threads; gevent has ways of its own."""

    def sleep(self, seconds: float) -> None:
        """Let some time pass."""
        time.sleep(seconds)

    def call(self, function: Callable[[], _Result], timeout: float, name: str) -> _Result:
        """
        Call what takes no time-out.

        Raises:
            TimeoutError: It took too long, and is left alone in its thread.
        """
        results: list[_Result] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                results.append(function())
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        thread.join(timeout)
        if errors:
            raise errors[0]
        if not results:
            raise TimeoutError
        return results[0]

    def limit(self, timeout: float | None) -> AbstractContextManager[object]:
        """Let one call of a socket take so many seconds in all; one that blocks sees to it by itself."""
        return nullcontext()

    #: What :meth:`wrap` returns.
    tls_socket: ClassVar[type[Any]] = ssl.SSLSocket

    def wrap(self, context: ssl.SSLContext, sock: Any, name: str) -> Any:
        """Put a socket into TLS, whose handshake is still to be made."""
        return context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)


_WAITS = Waits()


def drive(
    conversation: Conversation, deadline: Deadline, *, net: Any = socket, waits: Waits = _WAITS
) -> tuple[Any, bytes]:
    """
    Do what a conversation asks for; this blocks.

    Args:
        deadline: When all of it has to be done.
        net: The module ``socket``, or one like it.
        waits: What else has to wait.

    Returns:
        The connected socket, whose time-out is anything, and what the conversation returned:
        the bytes that came behind the server's answer.

    Raises:
        TimeoutError: A step was not done in time; the message says which.
        Exception: Whatever else the conversation raises; the socket is closed then.
    """
    line = _Line(deadline, net, waits)
    try:
        step = next(conversation)
        while True:
            try:
                result = line.do(step)
            except BaseException as error:  # noqa: BLE001 - the conversation raises it, or knows what to do
                step = conversation.throw(error)
            else:
                step = conversation.send(result)
    except StopIteration as end:
        return line.sock, end.value
    except BaseException:
        line.hang_up()
        raise
    finally:
        conversation.close()


class _Line:
    """The one connection that a conversation has at a time."""

    def __init__(self, deadline: Deadline, net: Any, waits: Waits) -> None:
        self.deadline = deadline
        self.net = net
        self.waits = waits
        self.sock: Any = None

    def do(self, step: Step) -> bytes | None:
        """Do a step, and return its result."""
        if isinstance(step, Dial):
            self.sock = connect_tcp(
                step.host, step.port, self.deadline, role=step.role, net=self.net, waits=self.waits
            )
        elif isinstance(step, DialUnix):
            self.sock = connect_unix(step.path, self.deadline, net=self.net, waits=self.waits)
        elif isinstance(step, StartTLS):
            self._start_tls(step)
        elif isinstance(step, Send):
            with self._within(step.what):
                self.sock.sendall(step.data)
        elif isinstance(step, Receive):
            return self._receive(step)
        else:
            self.hang_up()
        return None

    def hang_up(self) -> None:
        """Close the connection, if there is one."""
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    @contextmanager
    def _within(self, what: str) -> Iterator[None]:
        with self.deadline.guard(self.sock, what), self.waits.limit(self.deadline.left(what)):
            yield

    def _start_tls(self, step: StartTLS) -> None:
        # It takes the descriptor out of the socket there was.
        try:
            self.sock = self.waits.wrap(step.context, self.sock, step.name)
        except OSError as error:
            _close_wrapped(error, self.waits.tls_socket)
            raise
        with self._within(step.what):
            self.sock.do_handshake()

    def _receive(self, step: Receive) -> bytes | None:
        left = self.deadline.left(step.what)
        if step.within is None or (left is not None and left <= step.within):
            with self._within(step.what):
                return bytes(self.sock.recv(_SIZE))
        self.sock.settimeout(step.within)
        try:
            with self.waits.limit(step.within):
                return bytes(self.sock.recv(_SIZE))
        except TimeoutError:
            return None


def _close_wrapped(error: OSError, kind: type[Any]) -> None:
    """
    Close the socket that ``wrap_socket()`` has made and not returned.

    Before Python 3.13, and in gevent, nobody does, when the peer has reset the connection by then; and it
    has the descriptor.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        made = frame.f_locals.get("self")
        if isinstance(made, kind):
            made.close()


def connect_tcp(
    host: str, port: int, deadline: Deadline, *, role: str = "", net: Any = socket, waits: Waits = _WAITS
) -> Any:
    """
    Connect to the first address of a host that answers.

    Args:
        role: What stands in front of host and port in messages.
        net: The module ``socket``, or one like it.
        waits: What else has to wait.

    Raises:
        OSError: None did; the message has the reason of each.
        TimeoutError: Nor did they in time.
    """
    dial = Dial(host, port, role)
    where, step = dial.where, dial.what
    addresses = _resolve(host, port, deadline, net, waits)
    errors: list[tuple[str, OSError]] = []
    for tried, (family, kind, proto, _, address) in enumerate(addresses):
        left = deadline.left(step)
        share = None if left is None else left / (len(addresses) - tried)
        try:
            return _connect(net, family, kind, proto, address, share, deadline)
        except OSError as error:
            errors.append((str(address[0]), error))
    if not errors:
        raise OSError(f"{host} has no address")
    deadline.left(step)
    if len(errors) == 1 and isinstance(errors[0][1], TimeoutError) and errors[0][1].errno is None:
        raise deadline.error(step)
    raise no_connection(where, errors) from None


def no_connection(where: str, errors: Sequence[tuple[str, OSError]]) -> OSError:
    """Make the error that says why no address answered."""
    if len(errors) == 1:
        said = f": {_why(errors[0][1])}"
    else:
        said = " ({})".format("; ".join(f"{address}: {_why(error)}" for address, error in errors))
    return OSError(errors[-1][1].errno or 0, f"no connection to {where}{said}")


def connect_unix(path: str, deadline: Deadline, *, net: Any = socket, waits: Waits = _WAITS) -> Any:
    """
    Connect to a Unix socket.

    Raises:
        OSError: Nobody listens there.
        TimeoutError: Whoever listens did not accept in time.
    """
    step = DialUnix(path).what
    while True:
        try:
            return _connect(net, net.AF_UNIX, net.SOCK_STREAM, 0, path, deadline.left(step), deadline)
        except TimeoutError:
            raise deadline.error(step) from None
        except BlockingIOError:
            # The backlog is full. Unlike TCP, nobody tries again by himself, nor tells when there is room.
            waits.sleep(RETRY)
        except OSError as error:
            raise no_connection(repr(path), [("", error)]) from None


def _resolve(host: str, port: int, deadline: Deadline, net: Any, waits: Waits) -> list[Any]:
    look_up = functools.partial(net.getaddrinfo, host, port, 0, net.SOCK_STREAM)
    if is_address(host):
        return list(look_up())
    step = f"the look-up of {host}"
    left = deadline.left(step)
    try:
        # The system's resolver takes no time-out.
        return list(look_up() if left is None else waits.call(look_up, left, step))
    except TimeoutError:
        raise deadline.error(step) from None
    except socket.gaierror as error:
        raise no_address(host, error) from None


def is_address(host: str) -> bool:
    """Tell whether a host is an address, for which nobody has to be asked."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def no_address(host: str, error: socket.gaierror) -> socket.gaierror:
    """Make the error that says which name is not known."""
    return socket.gaierror(error.errno, f"{host} cannot be looked up: {error.strerror}")


def _connect(
    net: Any, family: int, kind: int, proto: int, address: Any, timeout: float | None, deadline: Deadline
) -> Any:
    sock = net.socket(family, kind, proto)
    try:
        sock.settimeout(timeout)
        with deadline.watch(sock):
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> str:
    # asyncio has words of its own in place of the system's.
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
