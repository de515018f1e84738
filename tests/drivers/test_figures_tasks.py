"""The figures of the manager of an asyncio loop."""

from __future__ import annotations

from tests.drivers.contract_figures import FiguresContract
from tests.drivers.tasks import host

__all__ = ["host"]


class TestFigures(FiguresContract):
    pass
