"""The figures of the manager of greenlets."""

from __future__ import annotations

from tests.drivers.contract_figures import FiguresContract
from tests.drivers.greenlets import host

__all__ = ["host"]


class TestFigures(FiguresContract):
    pass
