"""client.backoff: after what to connect again, and when."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers import ROOT
from ws4py_middleware.client.backoff import RETRIED_CODES, Backoff, make_backoff, parse_retry_after
from ws4py_middleware.exc import ConnectionClosed, HandshakeError


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"initial": 0}, ValueError, "initial is 0; it is a number of seconds above 0"),
        ({"initial": -1.0}, ValueError, "initial is -1.0"),
        ({"initial": float("inf")}, ValueError, "initial is inf"),
        ({"initial": float("nan")}, ValueError, "initial is nan"),
        ({"initial": "1"}, TypeError, "initial is '1'; it is a number"),
        ({"initial": True}, TypeError, "initial is True"),
        ({"maximum": 0.1}, ValueError, "maximum is 0.1; .* at least initial, 0.5"),
        ({"maximum": float("inf")}, ValueError, "maximum is inf"),
        ({"maximum": None}, TypeError, "maximum is None"),
        ({"factor": 0.5}, ValueError, "factor is 0.5; it is at least 1"),
        ({"factor": float("nan")}, ValueError, "factor is nan"),
        ({"attempts": 0}, ValueError, "attempts is 0; it is at least 1, or None"),
        ({"attempts": 1.0}, TypeError, "attempts is 1.0; it is a whole number"),
        ({"attempts": True}, TypeError, "attempts is True"),
        ({"jitter": 0.5}, TypeError, "jitter is 0.5; it is True or False"),
        ({"first": None}, TypeError, "first is None"),
        ({"timeout": 1}, TypeError, "timeout"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(
    options: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        Backoff(**options)


@pytest.mark.parametrize("reconnect", [True, Backoff()])
def test_true_means_the_defaults_of_the_promise(reconnect: Any) -> None:
    backoff = make_backoff(reconnect)
    assert backoff == Backoff(initial=0.5, maximum=30.0, factor=2.0, jitter=True, attempts=None, first=False)


def test_nothing_means_never_and_all_else_is_refused() -> None:
    assert make_backoff(None) is None
    assert make_backoff(False) is None
    for wrong in (1, 0.5, "yes", {"initial": 1}):
        with pytest.raises(TypeError, match=r"it is True, False or Backoff\(\.\.\.\)"):
            make_backoff(wrong)  # type: ignore[arg-type]


# --- when ------------------------------------------------------------------------------------------


@given(
    attempt=st.integers(1, 10**6),
    initial=st.floats(0.001, 10),
    more=st.floats(0, 1000),
    factor=st.floats(1, 1e9),
    drawn=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e12),
)
def test_a_delay_is_never_longer_than_promised(
    attempt: int, initial: float, more: float, factor: float, drawn: float, asked: float | None
) -> None:
    backoff = Backoff(initial=initial, maximum=initial + more, factor=factor)
    delay = backoff.delay(attempt, asked, draw=lambda: drawn)
    wanted = min(asked or 0, 10 * backoff.maximum)
    assert wanted <= delay <= wanted + backoff.maximum


def test_full_jitter_draws_from_all_between_nothing_and_the_longest() -> None:
    backoff = Backoff(initial=1, maximum=8)
    assert [backoff.delay(attempt, draw=lambda: 0.0) for attempt in (1, 2, 9)] == [0, 0, 0]
    assert [backoff.delay(attempt, draw=lambda: 1.0) for attempt in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 8]
    assert len({backoff.delay(4) for _ in range(20)}) > 1


def test_those_who_were_told_the_same_time_come_one_by_one_behind_it() -> None:
    backoff = Backoff(initial=1, maximum=8)
    assert backoff.delay(1, 5.0, draw=lambda: 0.0) == 5.0
    assert backoff.delay(1, 5.0, draw=lambda: 0.5) == 5.5
    assert backoff.delay(1, 1e9, draw=lambda: 0.0) == 80.0
    assert Backoff(jitter=False).delay(1, 2.0) == 2.5


# --- after what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 1014])
def test_an_end_that_may_be_better_tomorrow_is_tried_again(code: int) -> None:
    assert Backoff().retries(ConnectionClosed("", code))


@pytest.mark.parametrize(
    "code",
    [1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1015, 3000, 3999, 4000, 4999],
)
def test_an_end_that_is_meant_is_not_tried_again(code: int) -> None:
    assert not Backoff().retries(ConnectionClosed("", code))


@pytest.mark.parametrize("status", [0, 408, 425, 429, 500, 502, 503, 504, 507, 511, 520, 599])
def test_a_server_that_says_later_is_asked_later(status: int) -> None:
    assert Backoff().retries(HandshakeError("", status))


@pytest.mark.parametrize(
    "status", [101, 200, 204, 301, 307, 400, 401, 403, 404, 407, 410, 426, 501, 505, 600]
)
def test_a_server_that_says_no_is_believed(status: int) -> None:
    assert not Backoff().retries(HandshakeError("", status))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError("the TCP connection was not done within 10 s"), True),
        (socket.gaierror(-3, "temporary failure in name resolution"), True),
        (FileNotFoundError(2, "no such socket yet"), True),
        (ssl.SSLEOFError(), True),
        (ssl.SSLCertVerificationError(), False),
        (ValueError("resource"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_a_failure_of_the_network_is_tried_again_and_one_of_trust_is_not(
    error: BaseException, expected: bool
) -> None:
    assert Backoff().retries(error) is expected


def test_a_subclass_knows_a_code_of_its_own() -> None:
    class Sessions(Backoff):
        def retries(self, cause: BaseException) -> bool:
            return (isinstance(cause, ConnectionClosed) and cause.code == 4001) or super().retries(cause)

    assert Sessions().retries(ConnectionClosed("", 4001))
    assert Sessions().retries(ConnectionClosed("", 1012))
    assert not Sessions().retries(ConnectionClosed("", 4002))


# --- Retry-After -----------------------------------------------------------------------------------

#: RFC 9110 §5.6.7 has one point in time in its three spellings: Sun, 06 Nov 1994 08:49:37 GMT.
THEN = 784111777.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("00120", 120.0),
        ("9" * 5000, 1e9),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 60.0),
        ("Sun Nov  6 08:49:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:47:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("\u0661", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 99999999999 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    assert parse_retry_after([("retry-after", value)], THEN - 60) == expected


def test_without_a_word_nothing_is_asked_and_the_first_word_that_means_something_counts() -> None:
    assert parse_retry_after([], THEN) is None
    assert parse_retry_after([("Retry-After", "soon"), ("Retry-After", "3")], THEN) == 3.0


@given(st.text(max_size=60))
def test_whatever_a_server_writes_is_no_error(value: str) -> None:
    asked = parse_retry_after([("Retry-After", value)], THEN)
    assert asked is None or asked >= 0


def test_the_page_says_the_same() -> None:
    page = (ROOT / "docs" / "howto" / "reconnecting.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (.*) \|$", page, re.MULTILINE))
    again, never = rows["close codes"].split(" | ")
    assert [int(code) for code in again.split()] == sorted(RETRIED_CODES)
    singles, _, span = never.partition(", ")
    assert span == "3000 to 4999"
    for code in [*map(int, singles.split()), 3000, 4999]:
        assert not Backoff().retries(ConnectionClosed("", code))
    assert {*map(int, (again + " " + singles).split()), 1004} == set(range(1000, 1016))  # 1004 is reserved
    again, never = rows["answers"].split(" | ")
    for status in map(int, re.findall(r"\d+", again)):
        assert Backoff().retries(HandshakeError("", status))
    for status in map(int, re.findall(r"\d+", never)):
        assert not Backoff().retries(HandshakeError("", status))
