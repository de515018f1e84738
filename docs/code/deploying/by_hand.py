from __future__ import annotations

from ws4py_middleware.process import get_manager

get_manager().drain(1012, "back in a minute", window=30, grace=5)
