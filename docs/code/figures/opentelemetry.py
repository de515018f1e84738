from __future__ import annotations

from ws4py_middleware.tracing import instrument

instrument()
