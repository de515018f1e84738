from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from ws4py_middleware.core.policy import DeflateOptions, Policy, Rate, as_rate, check_names

SIZES = ["max_message_size", "max_frame_size"]
REQUIRED_SIZES = ["write_high_water", "write_limit", "receive_queue_size", "trusted_proxies"]
COUNTS = [
    "max_fragments",
    "max_control_frames",
    "max_connections",
    "max_connections_per_address",
    "max_connections_per_key",
]
RATES = ["message_rate", "byte_rate", "handshake_rate"]
CALLABLES = ["reauthorize", "connection_key"]
REQUIRED_COUNTS = [
    "turn_bytes",
    "turn_frames",
    "receive_queue_messages",
    "max_headers",
    "max_header_line",
    "max_head_size",
]
TIMES = [
    "ping_interval",
    "ping_timeout",
    "write_timeout",
    "open_timeout",
    "close_timeout",
    "idle_timeout",
    "max_lifetime",
    "drain_window",
]
REQUIRED_TIMES = ["turn_time", "drain_grace"]
NUMBERS = SIZES + REQUIRED_SIZES + COUNTS + REQUIRED_COUNTS


def make(**options: Any) -> Policy:
    return Policy(**options)


def test_policy_defaults_are_the_promised_ones() -> None:
    assert dataclasses.asdict(Policy()) == {
        "max_message_size": 1_048_576,
        "max_frame_size": None,
        "max_fragments": 4096,
        "max_control_frames": 1024,
        "turn_bytes": 65_536,
        "turn_frames": 256,
        "turn_time": 0.005,
        "receive_queue_messages": 16,
        "receive_queue_size": 1_048_576,
        "write_high_water": 65_536,
        "write_limit": 1_048_576,
        "queue_policy": "block",
        "ping_interval": 20.0,
        "ping_timeout": 20.0,
        "write_timeout": 20.0,
        "open_timeout": 10.0,
        "close_timeout": 10.0,
        "idle_timeout": None,
        "max_lifetime": None,
        "reauthorize": None,
        "drain_window": None,
        "drain_grace": 3.0,
        "message_rate": None,
        "byte_rate": None,
        "max_headers": 100,
        "max_header_line": 8192,
        "max_head_size": 32_768,
        "max_connections": 10_000,
        "max_connections_per_address": None,
        "max_connections_per_key": None,
        "connection_key": None,
        "handshake_rate": None,
        "trusted_proxies": 0,
        "subprotocols": (),
        "origins": "same",
        "hosts": None,
        "compression": False,
    }
    assert dataclasses.asdict(DeflateOptions()) == {
        "server_max_window_bits": 12,
        "client_max_window_bits": 12,
        "server_no_context_takeover": False,
        "client_no_context_takeover": False,
        "level": 1,
        "mem_level": 5,
        "threshold": 256,
        "shared": False,
    }


def test_policy_every_setting_is_checked_by_one_of_these_tests() -> None:
    names = {field.name for field in dataclasses.fields(Policy)}
    checked = {*NUMBERS, *TIMES, *REQUIRED_TIMES, *RATES, *CALLABLES}
    assert names - checked == {"queue_policy", "subprotocols", "origins", "hosts", "compression"}


def test_policy_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().max_fragments = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", [*SIZES, *COUNTS, *TIMES])
def test_policy_none_switches_a_limit_off(name: str) -> None:
    assert getattr(make(**{name: None}), name) is None


@pytest.mark.parametrize("name", [*REQUIRED_SIZES, *REQUIRED_COUNTS, *REQUIRED_TIMES])
def test_policy_what_cannot_be_off_is_never_none(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is None; it is a"):
        make(**{name: None})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["1", 1.0, True])
def test_policy_a_size_that_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"{name} is {value!r}; it is a whole number")):
        make(**{name: value})


@pytest.mark.parametrize("name", SIZES + REQUIRED_SIZES)
def test_policy_a_size_is_at_least_0(name: str) -> None:
    assert getattr(make(**{name: 0}), name) == 0
    with pytest.raises(ValueError, match=f"{name} is -1; it is at least 0"):
        make(**{name: -1})


@pytest.mark.parametrize("name", COUNTS + REQUIRED_COUNTS)
def test_policy_a_count_is_at_least_1(name: str) -> None:
    assert getattr(make(**{name: 1}), name) == 1
    with pytest.raises(ValueError, match=f"{name} is 0; it is at least 1"):
        make(**{name: 0})


@pytest.mark.parametrize("name", TIMES + REQUIRED_TIMES)
def test_policy_a_time_is_a_number_of_seconds_above_0(name: str) -> None:
    assert getattr(make(**{name: 3}), name) == 3
    assert getattr(make(**{name: 0.001}), name) == 0.001
    for wrong in ("20", True, [1]):
        with pytest.raises(TypeError, match=f"{name} is .*; it is a number of seconds"):
            make(**{name: wrong})
    for value in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"{name} is .*; it is a number of seconds above 0"):
            make(**{name: value})


@pytest.mark.parametrize("name", RATES)
def test_policy_a_rate_is_a_number_for_a_second_or_a_rate(name: str) -> None:
    assert as_rate(getattr(make(**{name: 3}), name)) == Rate(3)
    assert as_rate(getattr(make(**{name: Rate(600, per=60, burst=20)}), name)) == Rate(600, 60, 20)
    assert as_rate(getattr(make(**{name: None}), name)) is None
    for wrong in ("20", True, [1]):
        with pytest.raises(TypeError, match=rf"{name} is .*; it is a number for a second, or Rate\("):
            make(**{name: wrong})
    for value in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"{name} is .*; it is a number above 0"):
            make(**{name: value})


def test_rate_what_may_come_at_once_is_what_comes_in_its_time_or_what_is_said() -> None:
    assert (Rate(600, per=60).per_second, Rate(600, per=60).burst_size) == (10.0, 600.0)
    assert Rate(600, per=60, burst=20).burst_size == 20.0
    assert Rate(0.1).burst_size == Rate(5, burst=0.5).burst_size == 1.0  # else nothing could come at all


@pytest.mark.parametrize("name", ["amount", "per", "burst"])
def test_rate_its_parts_are_numbers_above_0(name: str) -> None:
    for wrong in ("1", True, None if name != "burst" else "x"):
        with pytest.raises(TypeError, match=f"{name} is .*; it is a number"):
            Rate(**{"amount": 1, name: wrong})  # type: ignore[arg-type]
    for value in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"{name} is .*; it is a number above 0"):
            Rate(**{"amount": 1, name: value})


class _Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, environ: Any) -> None: ...


@pytest.mark.parametrize("name", CALLABLES)
def test_policy_a_function_is_one_or_left_out(name: str) -> None:
    assert getattr(make(**{name: len}), name) is len
    assert getattr(make(**{name: None}), name) is None
    with pytest.raises(TypeError, match=f"{name} is 'chat:key'; it is a function"):
        make(**{name: "chat:key"})
    with pytest.raises(TypeError, match=f"{name} is .*which has no hash"):
        make(**{name: _Unhashable()})


@pytest.mark.parametrize("value", ["block", "drop-oldest", "drop-newest", "disconnect"])
def test_policy_each_queue_policy_is_taken(value: str) -> None:
    assert make(queue_policy=value).queue_policy == value


@pytest.mark.parametrize("value", ["", "drop", None])
def test_policy_another_queue_policy_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"queue_policy is .*; it is one of .*drop-oldest"):
        make(queue_policy=value)


@pytest.mark.parametrize(
    "value", ["same", "*", [], ["https://example.com", re.compile("x")], lambda origin: True]
)
def test_policy_each_kind_of_origins_is_taken(value: Any) -> None:
    assert make(origins=value).origins == value


def test_policy_hosts_and_subprotocols_are_lists_or_left_out() -> None:
    hosts = ["example.com", re.compile(r".*\.example\.com")]
    assert make(hosts=hosts).hosts == hosts
    assert make(subprotocols=("chat.v2", "chat")).subprotocols == ("chat.v2", "chat")
    assert make(subprotocols=max).subprotocols is max


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"origins": None}, ValueError, 'say "[*]"'),
        ({"origins": "https://example.com"}, ValueError, r"a list: \['https://example.com'\]"),
        ({"hosts": "example.com"}, TypeError, r"a list: \['example.com'\]"),
        ({"subprotocols": "chat"}, TypeError, r"a list: \['chat'\]"),
        ({"origins": 5}, TypeError, "origins is 5; it is a list"),
        ({"origins": [b"https://example.com"]}, TypeError, "its elements are strings or compiled"),
        ({"origins": [re.compile(b"x")]}, TypeError, "its elements are strings or compiled"),
        ({"hosts": 5}, TypeError, "hosts is 5; it is a list"),
        ({"hosts": ["a", None]}, TypeError, "hosts has None"),
        ({"subprotocols": 5}, TypeError, "subprotocols is 5; it is a list, or a callable"),
        ({"subprotocols": ["a b"]}, ValueError, "'a b' is not a token"),
        ({"subprotocols": ["a\r\nX: y"]}, ValueError, "is not a token"),
        ({"subprotocols": [None]}, ValueError, "None is not a token"),
        ({"subprotocols": ["a", "a"]}, ValueError, "'a' is there twice"),
        ({"compression": "yes"}, TypeError, "False, True or DeflateOptions"),
        ({"compression": None}, TypeError, "False, True or DeflateOptions"),
        ({"compression": 1}, TypeError, "False, True or DeflateOptions"),
    ],
)
def test_policy_a_value_of_the_wrong_kind_is_refused_with_the_right_one(
    options: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        make(**options)


def test_replace_changes_a_copy() -> None:
    policy = Policy()
    changed = policy.replace(max_message_size=10, ping_interval=None)
    assert (changed.max_message_size, changed.ping_interval) == (10, None)
    assert policy == Policy()
    assert policy.replace() == policy


def test_replace_values_are_checked() -> None:
    with pytest.raises(ValueError, match="max_fragments is 0"):
        Policy().replace(max_fragments=0)


def test_replace_a_wrong_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        TypeError, match=r"there is no setting 'max_mesage_size'; did you mean 'max_message_size'\?"
    ):
        Policy().replace(max_mesage_size=1)
    with pytest.raises(
        TypeError, match="there is no setting 'qqq'; there are max_message_size, max_frame_size"
    ):
        check_names({"max_fragments": 1, "qqq": 1})


@pytest.mark.parametrize(
    ("message", "frame", "limit"),
    [(100, None, 100), (100, 10, 10), (10, 100, 10), (None, 10, 10), (None, None, None)],
)
def test_frame_limit_is_the_smaller_of_both(
    message: int | None, frame: int | None, limit: int | None
) -> None:
    assert Policy(max_message_size=message, max_frame_size=frame).frame_limit == limit


def test_deflate_is_off_until_asked_for() -> None:
    options = DeflateOptions(level=6)
    assert Policy().deflate is None
    assert Policy(compression=True).deflate == DeflateOptions()
    assert Policy(compression=options).deflate is options


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("server_max_window_bits", 9, 15),
        ("client_max_window_bits", 9, 15),
        ("level", -1, 9),
        ("mem_level", 1, 9),
        ("threshold", 0, None),
    ],
)
def test_deflate_options_are_in_zlibs_ranges(name: str, low: int, high: int | None) -> None:
    def options(value: Any) -> DeflateOptions:
        return DeflateOptions(**{name: value})

    upper = "" if high is None else f" and at most {high}"
    assert getattr(options(low), name) == low
    with pytest.raises(ValueError, match=f"{name} is {low - 1}; it is at least {low}{upper}"):
        options(low - 1)
    if high is not None:
        assert getattr(options(high), name) == high
        with pytest.raises(ValueError, match=f"{name} is {high + 1}; it is at least {low}{upper}"):
            options(high + 1)
    for wrong in (None, "9", 9.5, True):
        with pytest.raises(TypeError, match=f"{name} is .*; it is a whole number"):
            options(wrong)


@pytest.mark.parametrize("name", ["server_no_context_takeover", "client_no_context_takeover", "shared"])
def test_deflate_options_that_are_yes_or_no(name: str) -> None:
    assert getattr(DeflateOptions(**{name: True}), name) is True
    for wrong in (None, 1, "yes"):
        with pytest.raises(TypeError, match=f"{name} is {wrong!r}; it is True or False"):
            DeflateOptions(**{name: wrong})  # type: ignore[arg-type]


def test_check_a_limit_for_each_key_needs_a_key() -> None:
    Policy().check()
    Policy(max_connections_per_key=5, connection_key=len).check()
    with pytest.raises(
        ValueError, match="max_connections_per_key is 5, and there is no connection_key, which says"
    ):
        Policy(max_connections_per_key=5).check()


def test_policy_a_connection_key_is_no_coroutine_function() -> None:
    async def key(environ: Any) -> str:
        return ""

    with pytest.raises(TypeError, match=r"connection_key is .*, which is async; it is a plain function"):
        make(connection_key=key)
    assert make(reauthorize=key).reauthorize is key
