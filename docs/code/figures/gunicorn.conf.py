from __future__ import annotations

from ws4py_middleware.prometheus import child_exit
