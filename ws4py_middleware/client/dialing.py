"""
From a target to a connected socket: names, addresses, TCP or a Unix socket, TLS.

All of it has one deadline. Addresses are tried one after the other, each with its
share of the time that is left, so that one that swallows packets does not use up
the time of those behind it. What fails is an :exc:`OSError` that says where, and
leaves no descriptor behind.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

__all__ = ["Deadline", "SSLOptions", "connect_tcp", "connect_unix", "get_server_name", "make_context", "wrap"]

#: A context, or ws4py's dictionary of settings, see :func:`make_context`.
SSLOptions = ssl.SSLContext | Mapping[str, Any]

#: Settings of ws4py's dictionary, which it gave to ``ssl.wrap_socket()``.
_SSL_OPTIONS = frozenset(
    {
        "ca_certs",
        "cert_reqs",
        "certfile",
        "check_hostname",
        "ciphers",
        "keyfile",
        "password",
        "server_hostname",
        "ssl_version",
    }
)
#: Those that are taken and mean nothing here.
_SSL_IGNORED = frozenset({"do_handshake_on_connect", "suppress_ragged_eofs"})

#: Until a Unix socket with a full backlog is asked again; seconds.
_RETRY = 0.01


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
        sock.settimeout(self.left(step))
        try:
            yield
        except TimeoutError:
            raise self.error(step) from None


def connect_tcp(host: str, port: int, deadline: Deadline, *, net: Any = socket) -> Any:
    """
    Connect to the first address of a host that answers.

    Args:
        net: The module ``socket``, or one like it.

    Raises:
        OSError: None did; the message has the reason of each.
        TimeoutError: Nor did they in time.
    """
    where = f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"
    step = f"the TCP connection to {where}"
    addresses = _resolve(host, port, deadline, net)
    errors: list[tuple[str, OSError]] = []
    for tried, (family, kind, proto, _, address) in enumerate(addresses):
        left = deadline.left(step)
        share = None if left is None else left / (len(addresses) - tried)
        try:
            return _connect(net, family, kind, proto, address, share)
        except OSError as error:
            errors.append((str(address[0]), error))
    if not errors:
        raise OSError(f"{host} has no address")
    deadline.left(step)
    if len(errors) == 1:
        only = errors[0][1]
        if isinstance(only, TimeoutError) and only.errno is None:
            raise deadline.error(step)
        raise OSError(only.errno, f"no connection to {where}: {_why(only)}") from None
    reasons = "; ".join(f"{address}: {_why(failure)}" for address, failure in errors)
    raise OSError(errors[-1][1].errno or 0, f"no connection to {where} ({reasons})") from None


def connect_unix(path: str, deadline: Deadline, *, net: Any = socket) -> Any:
    """
    Connect to a Unix socket.

    Raises:
        OSError: Nobody listens there.
        TimeoutError: Whoever listens did not accept in time.
    """
    step = f"the connection to {path!r}"
    while True:
        try:
            return _connect(net, net.AF_UNIX, net.SOCK_STREAM, 0, path, deadline.left(step))
        except TimeoutError:
            raise deadline.error(step) from None
        except BlockingIOError:
            # The backlog is full. Unlike TCP, nobody tries again by himself, nor tells when there is room.
            time.sleep(_RETRY)
        except OSError as error:
            raise OSError(error.errno or 0, f"no connection to {path!r}: {_why(error)}") from None


def wrap(sock: Any, context: ssl.SSLContext, host: str, deadline: Deadline) -> ssl.SSLSocket:
    """
    Put a connected socket into TLS; whatever happens, the socket is this function's to close.

    Args:
        host: What the certificate must be for, and what the server is told that is wanted (SNI).

    Raises:
        OSError: :exc:`ssl.SSLError` and others: there is no TLS, or the certificate is not the host's.
        TimeoutError: It took too long.
    """
    # A name's last dot is not in its certificate, and an address' zone is nobody's business.
    name = host.partition("%")[0].rstrip(".")
    tls = None
    try:
        tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        with deadline.guard(tls, f"the TLS handshake with {host}"):
            tls.do_handshake()
    except BaseException:
        (sock if tls is None else tls).close()
        raise
    return tls


def make_context(options: SSLOptions | None) -> ssl.SSLContext:
    """
    Make the context of a client's connections.

    Args:
        options: ``None`` verifies the certificate against the system's authorities, and the name of
            the host. A context is taken as it is. A dictionary changes some of it: ``ca_certs``
            (a file of authorities in place of the system's), ``certfile``, ``keyfile`` and
            ``password`` (this end's own), ``ciphers``, ``ssl_version``, ``check_hostname``, and
            ``cert_reqs``: ``ssl.CERT_NONE`` verifies nothing.

    Raises:
        TypeError: There is no such option.
        OSError: A file cannot be read, or has no certificate.
        ValueError: The version is one that nobody should speak.
    """
    if isinstance(options, ssl.SSLContext):
        return options
    if not options:
        return _default_context()
    if unknown := sorted(set(options) - _SSL_OPTIONS - _SSL_IGNORED):
        raise TypeError(f"ssl_options has {unknown[0]!r}; there are {', '.join(sorted(_SSL_OPTIONS))}")
    # None means nothing, and is not CERT_NONE.
    verify = options.get("cert_reqs") is None or options["cert_reqs"] != ssl.CERT_NONE
    context = _new_context(options.get("ca_certs"), verify=verify)
    context.check_hostname = verify and bool(options.get("check_hostname", True))
    version = options.get("ssl_version")
    if version == ssl.PROTOCOL_TLSv1_2:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif version not in (None, ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT):
        raise ValueError(f"ssl_version is {version!r}; TLS 1.2 and later are spoken here")
    if options.get("certfile") is not None:
        context.load_cert_chain(options["certfile"], options.get("keyfile"), options.get("password"))
    if options.get("ciphers") is not None:
        context.set_ciphers(options["ciphers"])
    return context


def get_server_name(options: SSLOptions | None, host: str) -> str:
    """Return the name that the certificate must be for: the host's, unless the options say otherwise."""
    if isinstance(options, Mapping) and options.get("server_hostname"):
        return str(options["server_hostname"])
    return host


@functools.cache
def _default_context() -> ssl.SSLContext:
    # To read the system's authorities takes longer than the connection itself.
    return _new_context(None)


def _new_context(ca_certs: str | os.PathLike[str] | None, *, verify: bool = True) -> ssl.SSLContext:
    if verify:
        context = ssl.create_default_context(cafile=ca_certs)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # A server that speaks HTTP/2, too, must know that this is not what is wanted.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _resolve(host: str, port: int, deadline: Deadline, net: Any) -> list[Any]:
    look_up = functools.partial(net.getaddrinfo, host, port, 0, net.SOCK_STREAM)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return list(look_up())
    step = f"the look-up of {host}"
    if (left := deadline.left(step)) is None:
        return _look_up(look_up, host)
    # The system's resolver takes no time-out: it is left alone in its thread when it takes too long.
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append(_look_up(look_up, host))
        except OSError as error:
            answer.append(error)

    thread = threading.Thread(target=run, name=f"look-up of {host}", daemon=True)
    thread.start()
    thread.join(left)
    if not answer:
        raise deadline.error(step)
    if isinstance(answer[0], OSError):
        raise answer[0]
    return list(answer[0])


def _look_up(look_up: Any, host: str) -> list[Any]:
    try:
        return list(look_up())
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{host} cannot be looked up: {error.strerror}") from None


def _connect(net: Any, family: int, kind: int, proto: int, address: Any, timeout: float | None) -> Any:
    sock = net.socket(family, kind, proto)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
