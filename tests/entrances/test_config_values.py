"""Values of settings as configuration files have them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ws4py_middleware.config import convert
from ws4py_middleware.config.values import SETTINGS
from ws4py_middleware.core.policy import DeflateOptions, Policy, Rate


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_message_size", 70_000, 70_000),
        ("max_message_size", "70_000", 70_000),
        ("max_message_size", "256 KiB", 256 * 1024),
        ("max_message_size", " 1MiB ", 1024**2),
        ("max_message_size", "64k", 64 * 1024),
        ("max_message_size", "2M", 2 * 1024**2),
        ("max_message_size", "1 GiB", 1024**3),
        ("max_message_size", "1.5 MB", 1_500_000),
        ("max_message_size", "10 bytes", 10),
        ("max_message_size", "1.001 kB", 1001),  # not in floats
        ("max_message_size", "99999999999999999999", 99999999999999999999),
        ("max_message_size", "9" * 400, int("9" * 400)),
        ("max_message_size", None, None),
        ("max_message_size", "off", None),
        ("max_message_size", False, None),
        ("max_frame_size", "none", None),
        ("max_fragments", "12", 12),
        ("max_connections", 12, 12),
        ("ping_interval", 15, 15.0),
        ("ping_interval", 0.5, 0.5),
        ("ping_interval", "15", 15.0),
        ("ping_interval", "15s", 15.0),
        ("ping_interval", "1.5 minutes", 90.0),
        ("ping_interval", "2 min", 120.0),
        ("ping_interval", "1 h", 3600.0),
        ("turn_time", "500 ms", 0.5),
        ("idle_timeout", "Off", None),
        ("idle_timeout", False, None),
        ("max_connections_per_address", "20", 20),
        ("max_connections_per_key", "off", None),
        ("trusted_proxies", "1", 1),
        ("max_lifetime", "1 h", 3600.0),
        ("message_rate", 50, 50),
        ("message_rate", 0.5, 0.5),
        ("message_rate", "50", 50.0),
        ("message_rate", "off", None),
        ("message_rate", "600/min", Rate(600.0, 60.0)),
        ("message_rate", " 10 / 5 s ", Rate(10.0, 5.0)),
        ("message_rate", {"rate": "50/s", "burst": 200}, Rate(50.0, 1.0, 200)),
        ("message_rate", {"rate": 50}, Rate(50)),
        ("byte_rate", "1 MiB/s", Rate(1024.0**2, 1.0)),
        ("byte_rate", {"rate": "64k", "burst": "1 MiB"}, Rate(65536.0, 1.0, 1024.0**2)),
        ("handshake_rate", Rate(5, 60), Rate(5, 60)),
        ("reauthorize", None, None),
        ("connection_key", "off", None),
        ("queue_policy", "drop-oldest", "drop-oldest"),
        ("subprotocols", ["chat.v2", "chat.v1"], ["chat.v2", "chat.v1"]),
        ("origins", "same", "same"),
        ("origins", "*", "*"),
        ("origins", ["https://a.example"], ["https://a.example"]),
        *[
            ("origins", [rule], [rule])
            for rule in (
                "same",
                "null",
                "*",
                "https://*.a.example",
                "http://a:*",
                "*://a",
                "http://[::1]:8000",
            )
        ],
        ("hosts", ["a.example"], ["a.example"]),
        ("hosts", "off", None),
        ("compression", True, True),
        ("compression", "on", True),
        ("compression", "no", False),
        ("compression", None, False),
        ("compression", DeflateOptions(level=1), DeflateOptions(level=1)),
        (
            "compression",
            {"level": 9, "threshold": "1 KiB", "server_no_context_takeover": True},
            DeflateOptions(level=9, threshold=1024, server_no_context_takeover=True),
        ),
    ],
)
def test_value_of_a_configuration_becomes_that_of_a_policy(name: str, value: Any, expected: Any) -> None:
    converted = convert(name, value)
    assert converted == expected
    assert type(converted) is type(expected)
    assert getattr(Policy(**{name: converted}), name) == expected


def test_functions_and_patterns_pass_as_they_are() -> None:
    rules = [re.compile("https://.*")]
    assert convert("origins", rules) is rules
    for name in ("origins", "subprotocols", "reauthorize", "connection_key"):
        assert convert(name, len) is len


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_takes_its_own_default(name: str) -> None:
    default = getattr(Policy(), name)
    assert convert(name, default) == default


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        (
            "max_mesage_size",
            1,
            TypeError,
            "there is no setting 'max_mesage_size'; did you mean 'max_message_size'?",
        ),
        ("zzz", 1, TypeError, "there is no setting 'zzz'; there are max_message_size, max_frame_size, "),
        ("max_message_size", "256 KiX", ValueError, "there is no unit 'KiX', did you mean 'kib'?"),
        (
            "max_message_size",
            "a lot",
            ValueError,
            "max_message_size is 'a lot'; it is a number of bytes, or one such",
        ),
        ("max_message_size", "0.3k", ValueError, "which is 307.2 bytes; it is a whole number"),
        (
            "max_message_size",
            1.5,
            TypeError,
            'it is a number of bytes, or a string such as "256 KiB", or "off"',
        ),
        ("max_message_size", True, TypeError, "max_message_size is True"),
        ("max_message_size", -1, ValueError, "max_message_size is -1; it is at least 0"),
        ("max_message_size", "-1", ValueError, "max_message_size is -1; it is at least 0"),
        ("max_fragments", "many", ValueError, "max_fragments is 'many'; it is a whole number, or \"off\""),
        ("max_fragments", 1.0, TypeError, "it is a whole number"),
        ("max_fragments", 0, ValueError, "max_fragments is 0; it is at least 1"),
        ("turn_bytes", "off", ValueError, "turn_bytes is 'off'; it is a number of bytes"),
        ("turn_bytes", None, TypeError, "turn_bytes is None; it is a number of bytes"),
        ("turn_time", "off", ValueError, "turn_time is 'off'; it is a number of seconds"),
        ("ping_interval", "soon", ValueError, 'or one such as "15 s", "500 ms" or "2 min", or "off"'),
        ("ping_interval", "15 minuets", ValueError, "there is no unit 'minuets', did you mean 'minutes'?"),
        ("ping_interval", 0, ValueError, 'ping_interval is 0; it is a number of seconds above 0, or "off"'),
        ("ping_interval", "-3s", ValueError, "ping_interval is -3; it is a number of seconds above 0"),
        ("ping_interval", float("nan"), ValueError, "ping_interval is nan"),
        ("ping_interval", "9" * 400, ValueError, "ping_interval is inf"),
        ("ping_interval", 10**400, ValueError, "it is a number of seconds above 0"),
        ("ping_interval", [15], TypeError, "ping_interval is [15]"),
        ("trusted_proxies", -1, ValueError, "trusted_proxies is -1; it is at least 0"),
        ("trusted_proxies", "all", ValueError, "trusted_proxies is 'all'; it is a whole number"),
        ("message_rate", "fast", ValueError, 'it is a number for a second, one such as "600/min"'),
        ("message_rate", "600/minuet", ValueError, "there is no unit 'minuet', did you mean 'minute'?"),
        ("message_rate", "5 KiB/s", ValueError, "there is no unit 'KiB'"),
        ("byte_rate", "fast", ValueError, 'one such as "1 MiB/s"'),
        ("message_rate", True, TypeError, "message_rate is True; it is a number for a second"),
        ("message_rate", 0, ValueError, "message_rate is 0; it is a number above 0"),
        ("message_rate", "0/s", ValueError, "amount is 0.0; it is a number above 0"),
        ("message_rate", {"rat": 1}, TypeError, "message_rate has no option 'rat'; did you mean 'rate'?"),
        ("message_rate", {"burst": 1}, TypeError, "message_rate has no rate; it is a number"),
        ("message_rate", {"rate": 1, "burst": "x"}, ValueError, "message_rate.burst is 'x'"),
        ("connection_key", "chat.auth", TypeError, 'in a file one such as "chat.auth:function"'),
        ("reauthorize", 5, TypeError, "reauthorize is 5; it is a function"),
        ("queue_policy", "drop_oldest", ValueError, "did you mean 'drop-oldest'?"),
        ("queue_policy", "disconect", ValueError, "did you mean 'disconnect'?"),
        ("queue_policy", True, TypeError, "it is one of block, drop-oldest, drop-newest, disconnect"),
        ("subprotocols", "chat", TypeError, "subprotocols is a string; it is a list: ['chat']"),
        ("subprotocols", [1], ValueError, "subprotocol 1 is not a token"),
        ("subprotocols", None, TypeError, "subprotocols is None; it is a list"),
        ("hosts", "a.example", TypeError, "hosts is a string; it is a list: ['a.example']"),
        ("hosts", {"a": 1}, TypeError, "it is a list"),
        ("origins", "https://a.example", ValueError, "it is 'same', '*' or a list: ['https://a.example']"),
        ("origins", True, TypeError, "origins is True"),
        ("origins", None, ValueError, 'say "*"'),
        ("origins", [1], TypeError, "origins has 1"),
        ("origins", {"a": 1}, TypeError, "origins is {'a': 1}"),
        *[
            (
                "origins",
                ["same", rule],
                ValueError,
                f"origins has {rule!r}, which no origin is like; one has a",
            )
            for rule in ("a.example", "https://a.example/", "*.a.example", "localhost:8000", "")
        ],
        (
            "compression",
            3,
            TypeError,
            "compression is 3; it is true, false or a table of server_max_window_bits",
        ),
        ("compression", {"levle": 3}, TypeError, "compression has no option 'levle'; did you mean 'level'?"),
        (
            "compression",
            {"level": 30},
            ValueError,
            "compression.level is 30; it is at least -1 and at most 9",
        ),
        ("compression", {"level": True}, TypeError, "compression.level is True"),
        ("compression", {"server_no_context_takeover": 1}, TypeError, "server_no_context_takeover is 1"),
    ],
)
def test_wrong_value_is_refused_with_what_would_be_right(
    name: str, value: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=re.escape(message)) as refused:
        convert(name, value)
    assert type(refused.value) is kind
