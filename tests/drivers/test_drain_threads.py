"""The end of the connections in the manager of threads."""

from __future__ import annotations

from tests.drivers.contract_drain import DrainContract
from tests.drivers.threads import host

__all__ = ["host"]


class TestDrain(DrainContract):
    pass
