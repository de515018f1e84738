"""Values: from what a configuration file can say to what a policy wants to hear."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, get_args

from ..core.origins import parse_origin
from ..core.policy import DeflateOptions, Policy, QueuePolicy, Rate, as_rate

__all__ = ["CALLABLES", "SETTINGS", "convert", "hint"]

#: Every setting of a policy, in its order.
SETTINGS = tuple(field.name for field in dataclasses.fields(Policy))

#: Settings that are functions, which files name as ``"module:name"``.
CALLABLES = ("reauthorize", "connection_key")

#: Bytes. One letter and the binary prefixes count in 1024, as configuration files do; kB and MB in 1000.
_UNITS: dict[str, Fraction | int] = {
    "": 1,
    "b": 1,
    "bytes": 1,
    "k": 1024,
    "kib": 1024,
    "kb": 1000,
    "m": 1024**2,
    "mib": 1024**2,
    "mb": 1000**2,
    "g": 1024**3,
    "gib": 1024**3,
    "gb": 1000**3,
}
#: Seconds.
_PERIODS: dict[str, Fraction | int] = {
    "ms": Fraction(1, 1000),
    "": 1,
    "s": 1,
    "sec": 1,
    "second": 1,
    "seconds": 1,
    "min": 60,
    "minute": 60,
    "minutes": 60,
    "h": 3600,
    "hour": 3600,
    "hours": 3600,
}
_QUANTITY = re.compile(r"([+-]?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-zA-Z]*)", re.ASCII)
_WORDS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def convert(name: str, value: Any) -> Any:
    """
    Make the value of one setting from what stands in a configuration.

    What is a policy's own value already passes as it is. Sizes may be ``"256 KiB"``, ``"64k"`` or
    ``"1.5 MB"``; times ``"500 ms"``, ``"15s"`` or ``"2 min"``. ``None``, ``False``, ``"off"`` and ``"none"``
    switch a limit off that can be. ``compression`` may be a table of the options of permessage-deflate.

    Args:
        name: A setting of :class:`~ws4py_middleware.core.policy.Policy`.
        value: What the configuration says.

    Returns:
        The value, checked as a policy checks it.

    Raises:
        TypeError: There is no such setting (the message names the nearest one), or the value is of a
            type that the setting never has.
        ValueError: The value is out of range, or cannot be read.

    >>> convert("max_message_size", "256 KiB"), convert("ping_interval", "2 min"), convert("hosts", "off")
    (262144, 120.0, None)
    """
    kind = _KINDS.get(name)
    if kind is None:
        raise TypeError(f"there is no setting {name!r}; {hint(name, SETTINGS)}")
    if name in _OPTIONAL and (value is None or value is False or _is_word(value, "off", "none", "")):
        value = None
    else:
        value = kind(name, value)
    Policy(**{name: value})
    return value


def hint(name: object, known: Iterable[str]) -> str:
    """Say what may have been meant, or else all that there is."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _is_word(value: Any, *words: str) -> bool:
    return isinstance(value, str) and value.strip().lower() in words


def _size(name: str, value: Any) -> int:
    if isinstance(value, str):
        number = _quantity(
            name, value, _UNITS, 'it is a number of bytes, or one such as "256 KiB" or "1 MiB"'
        )
        if number.denominator != 1:
            raise ValueError(
                f"{name} is {value!r}, which is {float(number)} bytes; it is a whole number of them"
            )
        return int(number)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(
        f'{name} is {value!r}; it is a number of bytes, or a string such as "256 KiB"{_off(name)}'
    )


def _count(name: str, value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            raise ValueError(f"{name} is {value!r}; it is a whole number{_off(name)}") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"{name} is {value!r}; it is a whole number{_off(name)}")


def _time(name: str, value: Any) -> float:
    expected = 'it is a number of seconds, or one such as "15 s", "500 ms" or "2 min"' + _off(name)
    if isinstance(value, str):
        value = _quantity(name, value, _PERIODS, expected)
        # Beyond that a float has no room; the message is the same.
        value = float(value) if value < 1e300 else float("inf")
    elif not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; {expected}")
    if not 0 < value < 1e300:
        text = str(value) if isinstance(value, int) else f"{value:g}"
        raise ValueError(f"{name} is {text}; it is a number of seconds above 0{_off(name)}")
    return float(value)


def _quantity(name: str, value: str, units: Mapping[str, Fraction | int], expected: str) -> Fraction:
    """Read a number and its unit, exactly: in floats, 1.001 kB would be no whole number of bytes."""
    match = _QUANTITY.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{name} is {value!r}; {expected}")
    number, unit = match.groups()
    factor = units.get(unit.lower())
    if factor is None:
        known = [each for each in units if each]
        raise ValueError(f"{name} is {value!r}; there is no unit {unit!r}, {hint(unit.lower(), known)}")
    return Fraction(number.replace("_", "")) * factor


def _off(name: str) -> str:
    return ', or "off"' if name in _OPTIONAL else ""


def _bool(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if _is_word(value, *_WORDS):
        return _WORDS[value.strip().lower()]
    raise TypeError(f"{name} is {value!r}; it is true or false")


def _queue_policy(name: str, value: Any) -> str:
    known = get_args(QueuePolicy)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; it is one of {', '.join(known)}")
    if value not in known:
        near = value.strip().lower().replace("_", "-")
        raise ValueError(f"there is no {name} {value!r}; {hint(near, known)}")
    return value


def _origins(name: str, value: Any) -> Any:
    # "same", "*", a list or a function: the policy itself says best what is wrong with others.
    if isinstance(value, bool | int | float | Mapping):
        raise TypeError(f'{name} is {value!r}; it is "same", "*" or a list such as ["https://example.com"]')
    for rule in value if isinstance(value, list | tuple | set | frozenset) else ():
        if isinstance(rule, str) and rule not in ("same", "*", "null"):
            _check_origin(name, rule)
    return value


def _check_origin(name: str, rule: str) -> None:
    """Refuse what no origin is like: nobody could connect, and nothing would say why."""
    try:
        parse_origin(rule.replace("*", "a"))
    except ValueError:
        if "*" in rule and "://" in rule:
            return  # such as a port that is any
        raise ValueError(
            f"{name} has {rule!r}, which no origin is like; one has a scheme, a host, perhaps a port, "
            'and nothing behind them: "https://example.com", or "https://*.example.com"'
        ) from None


def _list(name: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | Mapping) or value is None:
        raise TypeError(f"{name} is {value!r}; it is a list")
    return value


def _rate(name: str, value: Any) -> float | Rate:
    example = "1 MiB/s" if name.startswith(_IN_BYTES) else "600/min"
    expected = f'it is a number for a second, one such as "{example}", or a table of rate and burst, or "off"'
    if isinstance(value, Rate | int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _read_rate(name, value, expected)
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {value!r}; {expected}")
    for key in value:
        if key not in ("rate", "burst"):
            raise TypeError(f"{name} has no option {key!r}; {hint(key, ('rate', 'burst'))}")
    if "rate" not in value:
        raise TypeError(f"{name} has no rate; {expected}")
    rate = as_rate(_rate(f"{name}.rate", value["rate"]))
    assert rate is not None
    burst = value.get("burst")
    if isinstance(burst, str):
        burst = _amount(f"{name}.burst", burst, expected)
    return dataclasses.replace(rate, burst=burst)


def _read_rate(name: str, value: str, expected: str) -> float | Rate:
    amount, slash, period = value.partition("/")
    number = _amount(name, amount, expected)
    if not slash:
        return number
    period = period.strip()
    # "600/min" is "600/1 min".
    seconds = _quantity(name, period if period[:1].isdigit() else f"1 {period}", _PERIODS, expected)
    return Rate(number, float(seconds))


def _amount(name: str, value: str, expected: str) -> float:
    return float(_quantity(name, value, _UNITS if name.startswith(_IN_BYTES) else {"": 1}, expected))


def _callable(name: str, value: Any) -> Any:
    if isinstance(value, str):
        raise TypeError(f'{name} is {value!r}; it is a function, in a file one such as "chat.auth:function"')
    return value


def _compression(name: str, value: Any) -> bool | DeflateOptions:
    if value is None:
        return False
    if isinstance(value, DeflateOptions):
        return value
    if not isinstance(value, Mapping):
        try:
            return _bool(name, value)
        except TypeError:
            raise TypeError(
                f"{name} is {value!r}; it is true, false or a table of {', '.join(_DEFLATE)}"
            ) from None
    options = {}
    for key, each in value.items():
        kind = _DEFLATE.get(key)
        if kind is None:
            raise TypeError(f"{name} has no option {key!r}; {hint(key, _DEFLATE)}")
        options[key] = kind(f"{name}.{key}", each)
    try:
        return DeflateOptions(**options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}.{error}") from None


_DEFLATE: dict[str, Callable[[str, Any], Any]] = {
    field.name: _bool if isinstance(field.default, bool) else _size if field.name == "threshold" else _count
    for field in dataclasses.fields(DeflateOptions)
}

#: The rates that are of bytes.
_IN_BYTES = ("byte_rate",)

_KINDS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(
        (
            "max_message_size",
            "max_frame_size",
            "turn_bytes",
            "receive_queue_size",
            "write_high_water",
            "write_limit",
            "max_header_line",
            "max_head_size",
        ),
        _size,
    ),
    **dict.fromkeys(
        (
            "max_fragments",
            "max_control_frames",
            "turn_frames",
            "receive_queue_messages",
            "max_headers",
            "max_connections",
            "max_connections_per_address",
            "max_connections_per_key",
            "trusted_proxies",
        ),
        _count,
    ),
    **dict.fromkeys(
        (
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
        ),
        _time,
    ),
    **dict.fromkeys(("message_rate", "byte_rate", "handshake_rate"), _rate),
    **dict.fromkeys(CALLABLES, _callable),
    "queue_policy": _queue_policy,
    "subprotocols": _list,
    "origins": _origins,
    "hosts": _list,
    "compression": _compression,
}

#: What can be switched off: the limits that a policy takes None for.
_OPTIONAL = frozenset(
    field.name
    for field in dataclasses.fields(Policy)
    if "None" in str(field.type) and field.name != "subprotocols"
)
