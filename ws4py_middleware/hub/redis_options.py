"""Where the Redis is, and how it is spoken to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..extras import needs
from .presence import Keys

__all__ = ["POLICIES", "Options"]

#: What :meth:`publish` does when messages cannot be sent.
POLICIES = ("drop-oldest", "raise", "wait")
_SCHEMES = ("redis", "rediss", "unix")


@dataclass(frozen=True)
class Options:
    """What :class:`~.RedisBackplane` was made with."""

    url: str
    queue_policy: str
    publish_timeout: float
    max_message_size: int | None
    max_queue: int
    max_queue_size: int
    presence_timeout: float
    prefix: str
    history_timeout: float = 86_400.0

    def check(self) -> dict[str, Any]:
        """
        Check everything, without a connection, and return what redis-py makes of the URL.

        Raises:
            ImportError: redis-py is not installed.
            ValueError: One of them makes no sense.
        """
        if urlsplit(self.url).scheme not in _SCHEMES:
            raise ValueError(
                "the address of a Redis begins with redis://, rediss:// (TLS) or unix://, such as "
                f"redis://localhost:6379/0; this is {self.where}"
            )
        if self.queue_policy not in POLICIES:
            raise ValueError(f"queue_policy is one of {', '.join(POLICIES)}; not {self.queue_policy!r}")
        for name in ("publish_timeout", "max_queue", "max_queue_size", "presence_timeout", "history_timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is more than 0, not {getattr(self, name)!r}")
        if not self.prefix or ":" in self.prefix:
            raise ValueError(f"prefix is what keys begin with, without a colon; not {self.prefix!r}")
        with needs("redis", "redis", 'Hub("redis://...")'):
            from redis.connection import parse_url
        parse: Callable[[str], dict[str, Any]] = parse_url
        return parse(self.url)

    @property
    def where(self) -> str:
        """The address without a password, and without what follows it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def keys(self) -> Keys:
        """The names of keys and channels."""
        return Keys(self.prefix, int(self.check().get("db") or 0))

    def make_pool(self, *, timeout: float = 5.0) -> Any:
        """
        Make a pool of connections, none of which is made yet.

        Args:
            timeout: Seconds for an answer, unless the URL has ``socket_timeout``.
        """
        from redis.backoff import NoBackoff
        from redis.connection import Connection, ConnectionPool
        from redis.retry import Retry

        settings = self.check()
        settings.setdefault("socket_timeout", timeout)
        settings.setdefault("socket_connect_timeout", min(3.0, timeout))
        if settings.get("connection_class") is None or "host" in settings:
            settings.setdefault("socket_keepalive", True)
        settings.setdefault("connection_class", Connection)
        settings.setdefault("client_name", "ws4py_middleware")
        # Answers are bytes, in the protocol that every server speaks; nothing is ever sent again by redis-py,
        # which does not know what must not arrive twice.
        settings.update(
            decode_responses=False, protocol=2, health_check_interval=0, retry=Retry(NoBackoff(), 0)
        )
        return ConnectionPool(**settings)

    def make_client(self, *, timeout: float = 5.0) -> Any:
        """Make a client, with a pool of its own."""
        from redis import Redis

        return Redis(connection_pool=self.make_pool(timeout=timeout))
