"""The figures of the manager of threads."""

from __future__ import annotations

from tests.drivers.contract_figures import FiguresContract
from tests.drivers.threads import host

__all__ = ["host"]


class TestFigures(FiguresContract):
    pass
