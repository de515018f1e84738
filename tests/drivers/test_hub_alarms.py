"""Calls at points in time."""

from __future__ import annotations

import pytest

from ws4py_middleware.hub.alarms import Alarms


def test_alarms_ring_in_their_order_and_none_before_its_time() -> None:
    alarms = Alarms()
    rung: list[int] = []
    for when in (3, 1, 2):
        alarms.add(when, lambda when=when: rung.append(when))  # type: ignore[misc]
    alarms.ring(2.0)
    assert rung == [1, 2]
    assert [alarms.delay(2.5, longest) for longest in (9.0, 0.1)] == [0.5, 0.1]
    assert alarms.delay(4.0, 9.0) == 0.0
    alarms.ring(3.0)
    assert rung == [1, 2, 3]
    assert not alarms
    assert alarms.delay(3.0, 9.0) == 9.0


def test_alarm_that_is_not_wanted_any_more_is_forgotten() -> None:
    alarms = Alarms()
    alarm = alarms.add(1.0, lambda: pytest.fail("it was not to be called"))
    alarms.ring(0.0)
    assert alarms
    alarm.function = None
    alarms.forget_idle()
    assert not alarms
    alarm.ring()


def test_alarm_that_fails_is_logged_and_others_ring(caplog: pytest.LogCaptureFixture) -> None:
    alarms = Alarms()
    rung: list[bool] = []
    alarms.add(1.0, lambda: 1 // 0)
    alarms.add(2.0, lambda: rung.append(True))
    alarms.ring(2.0)
    assert rung == [True]
    assert "ZeroDivisionError" in caplog.text
