"""Values: from what a configuration file can say to what a policy wants to hear."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from ..core.policy import DeflateOptions, Policy, QueuePolicy

__all__ = ["SETTINGS", "convert", "hint"]

#: Every setting of a policy, in its order.
SETTINGS = tuple(field.name for field in dataclasses.fields(Policy))

#: Bytes. One letter and the binary prefixes count in 1024, as configuration files do; kB and MB in 1000.
_UNITS = {
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
_PERIODS = {
    "ms": 0.001,
    "": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
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
        if number != int(number):
            raise ValueError(f"{name} is {value!r}, which is {number} bytes; it is a whole number of them")
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
    elif not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; {expected}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value:g}; it is a number of seconds above 0{_off(name)}")
    return float(value)


def _quantity(name: str, value: str, units: Mapping[str, float], expected: str) -> float:
    match = _QUANTITY.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{name} is {value!r}; {expected}")
    number, unit = match.groups()
    factor = units.get(unit.lower())
    if factor is None:
        known = [each for each in units if each]
        raise ValueError(f"{name} is {value!r}; there is no unit {unit!r}, {hint(unit.lower(), known)}")
    return float(number.replace("_", "")) * factor


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
    if isinstance(value, bool | int | float):
        raise TypeError(f'{name} is {value!r}; it is "same", "*" or a list such as ["https://example.com"]')
    return value


def _list(name: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | Mapping) or value is None:
        raise TypeError(f"{name} is {value!r}; it is a list")
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
        ),
        _time,
    ),
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
