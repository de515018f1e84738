"""The manager of an asyncio loop: the contract of all managers, with handlers that are not async."""

from __future__ import annotations

from tests.drivers.contract import LifecycleContract
from tests.drivers.contract_traffic import TrafficContract
from tests.drivers.tasks import host

__all__ = ["host"]


class TestLifecycle(LifecycleContract):
    pass


class TestTraffic(TrafficContract):
    pass
