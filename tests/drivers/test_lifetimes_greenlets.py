"""Lifetimes in the manager of greenlets."""

from __future__ import annotations

from tests.drivers.contract_lifetime import LifetimeContract
from tests.drivers.greenlets import host

__all__ = ["host"]


class TestLifetimes(LifetimeContract):
    pass
