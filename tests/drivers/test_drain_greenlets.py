"""The end of the connections in the manager of greenlets."""

from __future__ import annotations

from tests.drivers.contract_drain import DrainContract
from tests.drivers.greenlets import host

__all__ = ["host"]


class TestDrain(DrainContract):
    pass
