"""
Policy: one frozen object with every limit and interval.

The defaults are the promises of ``docs/topics/security.md``. ``None`` switches a
limit off. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from .headers import is_token

__all__ = ["DeflateOptions", "Policy", "QueuePolicy", "Rate", "as_rate"]

#: What happens to a message for a peer that does not read fast enough.
QueuePolicy = Literal["block", "drop-oldest", "drop-newest", "disconnect"]

OriginRule = str | re.Pattern[str]

KiB = 1024
MiB = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeflateOptions:
    """
    How permessage-deflate is negotiated and used, :rfc:`7692`.

    The windows of 12 bits cost a connection about 50 KiB of memory where the
    15 bits of the RFC cost about 190 KiB, and save nearly as much. ``docs/topics/compression.md``
    has what each setting costs, with zlib and with zlib-ng.
    """

    #: Largest window that this server compresses with: 9 to 15 bits.
    server_max_window_bits: int = 12
    #: Largest window that a client is asked to compress with: 9 to 15 bits.
    client_max_window_bits: int = 12
    #: Whether the server forgets its window after each message.
    server_no_context_takeover: bool = False
    #: Whether the client is asked to forget its window after each message.
    client_no_context_takeover: bool = False
    #: The compression level, -1 to 9; 1 is the fastest, 6 saves a seventh (zlib) or a third (zlib-ng) more.
    level: int = 1
    #: The memory level, 1 to 9. It is for zlib; zlib-ng takes the same for each, and is for what is not kept.
    mem_level: int = 5
    #: Shorter messages are sent as they are; in bytes.
    threshold: int = 256
    #: Whether all connections of a server compress with the same few contexts, so that a broadcast is
    #: compressed once: nothing is kept between messages, as the clients are told. Without effect in a client.
    shared: bool = False

    def __post_init__(self) -> None:
        _check_range("server_max_window_bits", self.server_max_window_bits, 9, 15)
        _check_range("client_max_window_bits", self.client_max_window_bits, 9, 15)
        _check_range("level", self.level, -1, 9)
        _check_range("mem_level", self.mem_level, 1, 9)
        _check_range("threshold", self.threshold, 0, None)
        for name in ("server_no_context_takeover", "client_no_context_takeover", "shared"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}; it is True or False")


@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """
    How often something may happen: ``amount`` in ``per`` seconds, and ``burst`` of it at once.

    It is a token bucket: ``burst`` is what it holds, and it fills up evenly.

    >>> Rate(5, per=60).burst_size, Rate(100, burst=500).burst_size, Rate(0.5).burst_size
    (5.0, 500.0, 1.0)
    """

    amount: float
    #: Seconds.
    per: float = 1.0
    #: What may come at once; ``None``: the ``amount``. One at least.
    burst: float | None = None

    def __post_init__(self) -> None:
        for name in ("amount", "per", "burst"):
            value = getattr(self, name)
            if value is None and name == "burst":
                continue
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise TypeError(f"{name} is {value!r}; it is a number")
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; it is a number above 0")

    @property
    def per_second(self) -> float:
        """How much of it comes back in a second."""
        return self.amount / self.per

    @property
    def burst_size(self) -> float:
        """How much may come at once."""
        return max(float(self.amount if self.burst is None else self.burst), 1.0)


def as_rate(value: float | Rate | None) -> Rate | None:
    """
    Return the rate that a setting means: a number is so much in a second.

    >>> as_rate(10)
    Rate(amount=10, per=1.0, burst=None)
    """
    return value if value is None or isinstance(value, Rate) else Rate(value)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a peer may cost, and what it may ask for."""

    #: Largest message, all fragments together and after inflation → 1009.
    max_message_size: int | None = MiB
    #: Largest frame, judged from its header; ``None`` means ``max_message_size`` → 1009.
    max_frame_size: int | None = None
    #: Most frames that one message may come in, empty ones counted except a last one → 1009.
    max_fragments: int | None = 4096
    #: Most control frames without a data frame between them, within one second → 1008.
    max_control_frames: int | None = 1024

    #: Most bytes read from one connection before the next one has its turn.
    turn_bytes: int = 64 * KiB
    #: Most frames taken from one connection before the next one has its turn.
    turn_frames: int = 256
    #: Longest time that handlers of one connection run before the next one has its turn.
    turn_time: float = 0.005

    #: Messages that wait for ``receive()`` before reading stops.
    receive_queue_messages: int = 16
    #: Bytes that wait for ``receive()`` before reading stops.
    receive_queue_size: int = MiB

    #: From here on ``send()`` waits, and the peer's own messages are not read.
    write_high_water: int = 64 * KiB
    #: From here on :attr:`queue_policy` decides, for those who cannot wait.
    write_limit: int = MiB
    #: At :attr:`write_limit`: wait, drop a message, or disconnect with 1013.
    queue_policy: QueuePolicy = "block"

    #: Time between two keepalive pings.
    ping_interval: float | None = 20.0
    #: Longest time that a keepalive ping waits for its pong.
    ping_timeout: float | None = 20.0
    #: Longest time that queued bytes wait without one of them being taken.
    write_timeout: float | None = 20.0
    #: Longest time that an opening handshake takes, in all.
    open_timeout: float | None = 10.0
    #: Longest time that a closing handshake takes, in all.
    close_timeout: float | None = 10.0
    #: Longest time without a message from the peer → 1000; pings do not count.
    idle_timeout: float | None = None
    #: Longest time that a connection lasts until :attr:`reauthorize` has to agree to another → 1008.
    max_lifetime: float | None = None
    #: Called with the WebSocket at the end of :attr:`max_lifetime`: ``True`` or ``None`` goes on, ``False``
    #: ends it. A handler class with a hook of that name has the last word; without either it ends.
    reauthorize: Callable[[Any], Any] | None = None
    #: When the process ends, the time over which its connections are closed, each at its own moment
    #: of it → 1001, 1012; ``None``: all at once.
    drain_window: float | None = None
    #: When the process ends, the time after that in which a closing handshake has to be done.
    drain_grace: float = 3.0

    #: Messages that a peer may send in a second, or a :class:`Rate` → 1008.
    message_rate: float | Rate | None = None
    #: Bytes that a peer may send in a second, as they come from the network, or a :class:`Rate` → 1008.
    byte_rate: float | Rate | None = None

    #: Most headers of a request or response.
    max_headers: int = 100
    #: Longest line of a request or response head.
    max_header_line: int = 8 * KiB
    #: Largest request or response head in all.
    max_head_size: int = 32 * KiB
    #: Most open connections of one process → 503.
    max_connections: int | None = 10_000
    #: Most open connections of one client address in one process; IPv6 by /64 → 429.
    max_connections_per_address: int | None = None
    #: Most open connections with one :attr:`connection_key` in one process → 429.
    max_connections_per_key: int | None = None
    #: Called with the environ of a request: whom its connection counts for, such as a user; ``None``: nobody.
    connection_key: Callable[[Any], Hashable] | None = None
    #: Opening handshakes of one client address in a second, or a :class:`Rate` → 429.
    handshake_rate: float | Rate | None = None
    #: How many proxies stand in front and each add to ``X-Forwarded-For``; 0: that header is not looked at.
    trusted_proxies: int = 0

    #: The subprotocols that are spoken here, best first; or a callable that
    #: takes those that the client offers, in its order, and returns one or ``None``.
    subprotocols: Sequence[str] | Callable[[Sequence[str]], str | None] = ()
    #: Whose pages may connect → 403. ``"same"``: pages of the same host, and
    #: clients that are no browser; ``"*"``: all; a list of origins such as
    #: ``"https://example.com"``, with ``*`` for any run of characters but a slash, or of
    #: compiled patterns (matched whole); or a callable that takes the origin.
    origins: str | Sequence[OriginRule] | Callable[[str], bool] = "same"
    #: Which values of ``Host`` are served → 421; ``None``: all.
    hosts: Sequence[OriginRule] | None = None
    #: permessage-deflate: ``False``, ``True`` or :class:`DeflateOptions`.
    compression: bool | DeflateOptions = False

    def __post_init__(self) -> None:
        for name in _SIZES:
            _check_range(name, getattr(self, name), 0, None)
        for name in _POSITIVE:
            _check_range(name, getattr(self, name), 1, None)
        for name in _TIMES:
            _check_time(name, getattr(self, name))
        for name in _RATES:
            _check_rate(name, getattr(self, name))
        for name in _CALLABLES:
            _check_callable(name, getattr(self, name))
        if self.queue_policy not in get_args(QueuePolicy):
            raise ValueError(f"queue_policy is {self.queue_policy!r}; it is one of {get_args(QueuePolicy)}")
        if self.origins is None:
            raise ValueError('origins is None; say "*" to let pages of every origin connect')
        if isinstance(self.origins, str) and self.origins not in ("same", "*"):
            raise ValueError(
                f"origins is the string {self.origins!r}; it is 'same', '*' or a list: [{self.origins!r}]"
            )
        if isinstance(self.subprotocols, str):
            raise TypeError(f"subprotocols is a string; it is a list: [{self.subprotocols!r}]")
        if isinstance(self.hosts, str):
            raise TypeError(f"hosts is a string; it is a list: [{self.hosts!r}]")
        # What would otherwise show at each handshake shows here.
        if not isinstance(self.origins, str) and not callable(self.origins):
            _check_rules("origins", self.origins)
        if self.hosts is not None:
            _check_rules("hosts", self.hosts)
        if not callable(self.subprotocols):
            _check_subprotocols(self.subprotocols)
        if not isinstance(self.compression, bool | DeflateOptions):
            raise TypeError(f"compression is {self.compression!r}; it is False, True or DeflateOptions(...)")

    def replace(self, **options: Any) -> Policy:
        """
        Return a policy with some settings changed.

        Raises:
            TypeError: There is no such setting; the message names the nearest one.
            ValueError: A value is out of its range.

        >>> Policy().replace(max_message_size=1024).max_message_size
        1024
        """
        check_names(options)
        return dataclasses.replace(self, **options)

    def check(self) -> None:
        """
        Check that settings which need one another are both there.

        Raises:
            ValueError: One is not.
        """
        if self.max_connections_per_key is not None and self.connection_key is None:
            raise ValueError(
                f"max_connections_per_key is {self.max_connections_per_key}, and there is no connection_key, "
                "which says whom a connection counts for"
            )

    @property
    def frame_limit(self) -> int | None:
        """The largest payload that a data frame's header may announce."""
        sizes = [size for size in (self.max_frame_size, self.max_message_size) if size is not None]
        return min(sizes, default=None)

    @property
    def deflate(self) -> DeflateOptions | None:
        """The options of permessage-deflate, or ``None`` when it is off."""
        if isinstance(self.compression, DeflateOptions):
            return self.compression
        return DeflateOptions() if self.compression else None


_SIZES = (
    "max_message_size",
    "max_frame_size",
    "write_high_water",
    "write_limit",
    "receive_queue_size",
    "trusted_proxies",
)
_POSITIVE = (
    "max_fragments",
    "max_control_frames",
    "turn_bytes",
    "turn_frames",
    "receive_queue_messages",
    "max_headers",
    "max_header_line",
    "max_head_size",
    "max_connections",
    "max_connections_per_address",
    "max_connections_per_key",
)
_TIMES = (
    "turn_time",
    "ping_interval",
    "ping_timeout",
    "write_timeout",
    "open_timeout",
    "close_timeout",
    "idle_timeout",
    "max_lifetime",
    "drain_window",
    "drain_grace",
)
_RATES = ("message_rate", "byte_rate", "handshake_rate")
_CALLABLES = ("reauthorize", "connection_key")
#: Settings that have no "off".
_REQUIRED = frozenset(
    {
        "turn_bytes",
        "turn_frames",
        "turn_time",
        "drain_grace",
        "receive_queue_messages",
        "receive_queue_size",
        "write_high_water",
        "write_limit",
        "max_headers",
        "max_header_line",
        "max_head_size",
        "trusted_proxies",
        # those of DeflateOptions
        "server_max_window_bits",
        "client_max_window_bits",
        "level",
        "mem_level",
        "threshold",
    }
)


def check_names(options: Mapping[str, Any]) -> None:
    """
    Check that each name is a setting.

    Raises:
        TypeError: One is not; the message names the nearest that is.
    """
    known = [field.name for field in dataclasses.fields(Policy)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"there is no setting {name!r}; {hint}")


def _check_range(name: str, value: Any, low: int, high: int | None) -> None:
    if value is None and name not in _REQUIRED:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it is a whole number")
    if value < low or (high is not None and value > high):
        upper = "" if high is None else f" and at most {high}"
        raise ValueError(f"{name} is {value}; it is at least {low}{upper}")


def _check_time(name: str, value: Any) -> None:
    if value is None and name not in _REQUIRED:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it is a number of seconds")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}; it is a number of seconds above 0, or None for off")


def _check_rate(name: str, value: Any) -> None:
    if value is None or isinstance(value, Rate):
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; it is a number for a second, or Rate(...)")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}; it is a number above 0, Rate(...), or None for off")


def _check_callable(name: str, value: Any) -> None:
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"{name} is {value!r}; it is a function")
    if name == "connection_key" and inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} is {value!r}, which is async; it is a plain function")
    if getattr(type(value), "__hash__", None) is None:
        raise TypeError(f"{name} is {value!r}, which has no hash; a function has one")


def _check_rules(name: str, rules: Any) -> None:
    if not isinstance(rules, Iterable):
        raise TypeError(f"{name} is {rules!r}; it is a list")
    for rule in rules:
        if not isinstance(rule, str) and not (isinstance(rule, re.Pattern) and isinstance(rule.pattern, str)):
            raise TypeError(f"{name} has {rule!r}; its elements are strings or compiled patterns of strings")


def _check_subprotocols(names: Any) -> None:
    if not isinstance(names, Iterable):
        raise TypeError(f"subprotocols is {names!r}; it is a list, or a callable")
    seen = set()
    for name in names:
        if not isinstance(name, str) or not is_token(name):
            raise ValueError(f"subprotocol {name!r} is not a token, such as chat.v1")
        if name in seen:
            raise ValueError(f"subprotocol {name!r} is there twice")
        seen.add(name)
