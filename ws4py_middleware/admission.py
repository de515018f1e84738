"""
Admission: who may open a connection, before there is one.

What is counted, is counted in the whole process: the opening handshakes of each client address, and the
open connections of each address and of each key. All of it is refused with 429 and ``Retry-After``.
:meth:`.Registry.check_capacity` sees to the process as a whole.

A connection is counted from just before its 101 until its manager forgets it, so that of many that
come at once no more than may be open are opened.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from _thread import RLock  # also under gevent's monkey-patching: nobody waits for anything while they have it
from collections.abc import Hashable, Mapping
from time import monotonic
from typing import Any

from .core.addresses import client_address, client_network
from .core.buckets import BucketTable
from .core.policy import Policy, as_rate
from .exc import HandshakeError

__all__ = ["Claim", "check_rate", "disown", "find_claim", "get_address", "has_spare_descriptors"]

#: Descriptors that are left to the web server: the next upgrade is refused before the
#: server's own accept() fails, which ends workers.
_SPARE_DESCRIPTORS = 64

#: How long a client that has too many connections is asked to wait; seconds.
_RETRY_AFTER = 5


class _Books:
    """What is counted in this process."""

    def __init__(self) -> None:
        self.lock: Any = RLock()
        self.handshakes = BucketTable()
        #: By what is counted: how many there are.
        self.counts: dict[Hashable, int] = {}


_books = _Books()


def disown() -> None:
    """Begin anew, in a forked child: the connections are its parent's."""
    global _books
    _books = _Books()


def get_address(environ: Mapping[str, Any], policy: Policy) -> str:
    """Return the address of the client, behind the proxies that the policy trusts; empty if not known."""
    peer = environ.get("REMOTE_ADDR") or ""
    return client_address(peer, environ.get("HTTP_X_FORWARDED_FOR"), policy.trusted_proxies)


def check_rate(environ: Mapping[str, Any], policy: Policy) -> None:
    """
    Count an opening handshake.

    Raises:
        HandshakeError: 429 with ``Retry-After``: there were too many from this address.
    """
    rate = as_rate(policy.handshake_rate)
    if rate is None:
        return
    network = client_network(get_address(environ, policy))
    books = _books
    with books.lock:
        wait = books.handshakes.take(network, rate, monotonic())
    if wait > 0:
        raise _too_many(f"there were too many connections from {network or 'here'}", math.ceil(wait))


def find_claim(environ: Mapping[str, Any], policy: Policy) -> Claim | None:
    """
    Find out whom a connection would count for.

    Args:
        environ: The request's; ``policy.connection_key`` is called with it.
        policy: The limits.

    Returns:
        ``None`` where nothing is limited.

    Raises:
        TypeError: The key has no hash.
        ValueError: Connections are limited by a key, and nothing says which.
    """
    places: list[tuple[Hashable, int, str]] = []
    if policy.max_connections_per_address is not None:
        network = client_network(get_address(environ, policy))
        places.append((network, policy.max_connections_per_address, f"{network or 'this address'} has"))
    if policy.max_connections_per_key is not None:
        policy.check()
        assert policy.connection_key is not None
        key = policy.connection_key(environ)
        if key is not None:
            try:
                hash(key)
            except TypeError:
                raise TypeError(
                    f"connection_key returned {key!r}, which has no hash; it returns a string, say"
                ) from None
            # Two functions may mean different things by the same name.
            places.append(((policy.connection_key, key), policy.max_connections_per_key, "you have"))
    return Claim(places) if places else None


class Claim:
    """
    The places that one connection needs, in the books of this process.

    Args:
        places: What is counted, how many of it there may be, and who has them.
    """

    __slots__ = ("_entered", "_places")

    def __init__(self, places: list[tuple[Hashable, int, str]]) -> None:
        self._places = places
        self._entered: _Books | None = None

    def check(self) -> None:
        """
        Check that there is a place.

        Raises:
            HandshakeError: 429 with ``Retry-After``: there is none.
        """
        counts = _books.counts
        for counted, limit, who in self._places:
            if counts.get(counted, 0) >= limit:
                raise _too_many(f"{who} {limit} WebSockets open, and may have no more", _RETRY_AFTER)

    def enter(self) -> None:
        """
        Take the places.

        Raises:
            HandshakeError: As for :meth:`check`; nothing was taken.
        """
        books = _books
        with books.lock:
            self.check()
            for counted, *_ in self._places:
                books.counts[counted] = books.counts.get(counted, 0) + 1
            self._entered = books

    def leave(self) -> None:
        """Give the places back. Again does nothing."""
        books = self._entered
        if books is None:
            return
        with books.lock:
            if self._entered is None:
                return
            self._entered = None
            for counted, *_ in self._places:
                left = books.counts[counted] - 1
                if left:
                    books.counts[counted] = left
                else:
                    del books.counts[counted]


def _too_many(reason: str, seconds: int) -> HandshakeError:
    return HandshakeError(f"{reason}; try again later", 429, [("Retry-After", str(seconds))])


def has_spare_descriptors() -> bool:
    """Tell by the lowest free descriptor, which the kernel hands out next, how near the limit is."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
        return True
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return True
    try:
        probe = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return False
        raise
    with contextlib.suppress(OSError):
        os.close(probe)
    return probe < limit - min(_SPARE_DESCRIPTORS, limit // 8)
